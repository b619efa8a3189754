"""The only place that knows files: HDF5 and Parquet layouts, manifests, publishing, verifying."""
