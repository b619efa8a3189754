"""Local builds as a read-only hub: what the clients of the Hugging Face Hub ask for.

Names are looked up in an index made from the manifests; no path of a request reaches the disk.
"""
