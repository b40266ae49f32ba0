"""Diagnosis: rule tables that turn runs into verdicts. Pure: only the model, the reasons and units are imported."""
