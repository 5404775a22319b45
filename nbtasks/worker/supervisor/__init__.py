"""The process above the children: it starts and replaces them, keeps the lease, and never runs user code."""
