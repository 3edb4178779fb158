"""Front ends (waveform to features), their extraction to disk, normalisation and augmentation."""
