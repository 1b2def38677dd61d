"""venclient: a site's meters and flexible assets as an OpenADR 3 Virtual End Node."""

__version__ = "0.1.0"
