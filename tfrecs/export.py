def export(model, data_dir, manifest, export_dir):
    raise NotImplementedError
