"""The Open Inference Protocol (V2) over REST: what gateway and runners share, from the wire to rows and back.

https://github.com/kserve/open-inference-protocol; https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
"""
