"""Alembic's folder: `env.py` and a file per version; `venclient.registry.upgrade` runs them."""
