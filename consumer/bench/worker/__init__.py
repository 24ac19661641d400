"""`nerstream bench worker`: the worker from broker to broker."""
