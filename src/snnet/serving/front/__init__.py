"""The front of a service: the Open Inference Protocol over HTTP and gRPC, pictures, metrics and health."""
