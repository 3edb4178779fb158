"""Archives in memory, of files by name."""

import hashlib
import io
import tarfile
import zipfile


def tar_of(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zip_of(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            # Without the time of the call: in every process of a test run the same bytes.
            archive.writestr(zipfile.ZipInfo(name), data)
    return out.getvalue()


NOISE = hashlib.shake_256(b"x").digest(128_000)  # does not compress
