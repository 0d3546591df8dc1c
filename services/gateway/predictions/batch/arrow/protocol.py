"""What the process that reads a file says to the gateway: all that the gateway imports from here.

One line of JSON has the number of `rows` and `columns`, as many lines the `name`, the `type` and whether it is `plain`, of each column. A line for each row
follows, an object. Exit code 0 says that these were all. A line that begins with one of the marks below is the last one, and says what is wrong.
"""

UNREADABLE = b"!"
"""With the file."""
FAULT = b"?"
"""With the process."""
MOST_COLUMNS = 1000
LONGEST_NAME = 1000
"""In characters. No model has so many columns, nor such names, which have to be kept for the answer."""
EXHAUSTED = 70
"""Exit code after memory was refused that Python had asked for; when Rust asks, the process is killed."""
