-- wrk's side of a window: bodies sent in turn, and the whole latency distribution at the end, as one line of JSON.
-- Arguments: a file with one body per line, then headers as "Name: value".

function init(arguments)
    wrk.method = "POST"
    for i = 2, #arguments do
        local name, value = arguments[i]:match("^([^:]+): (.*)$")
        wrk.headers[name] = value
    end
    prepared, turn = {}, 0
    for body in io.lines(arguments[1]) do
        prepared[#prepared + 1] = wrk.format(nil, nil, nil, body)
    end
end

function request()
    turn = turn % #prepared + 1
    return prepared[turn]
end

-- wrk keeps latencies in a histogram of microseconds, so these percentiles are exact to 1 µs. `status` counts answers of 400 and above.
function done(summary, latency, _)
    local errors = summary.errors
    io.write(string.format(
        'RESULT {"microseconds": %d, "answers": %d, "bytes": %d, "status": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d, ' ..
        '"p50": %d, "p90": %d, "p99": %d, "p999": %d, "max": %d, "mean": %.1f}\n',
        summary.duration, summary.requests, summary.bytes, errors.status, errors.connect, errors.read, errors.write, errors.timeout,
        latency:percentile(50), latency:percentile(90), latency:percentile(99), latency:percentile(99.9), latency.max, latency.mean))
end
