"""Files of TLS that do not hold what they should: the prober says which, and accuses nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from prober.wire.tls.context import Contexts, TlsSettings


@pytest.mark.parametrize("text", ["", "no certificate\n"])
@pytest.mark.parametrize("use", ["ca_file", "certificate_file"])
def test_a_file_without_a_certificate_is_named(tmp_path: Path, use: str, text: str) -> None:
    file = tmp_path / "bundle.pem"
    file.write_text(text, encoding="ascii")
    settings = TlsSettings(ca_file=file) if use == "ca_file" else TlsSettings(certificate_file=file)
    with pytest.raises(OSError, match=f"^{file}: "):
        Contexts().get(settings)
