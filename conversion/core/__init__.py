"""What everything else stands on: specs, artifacts, settings, measurements, errors."""
