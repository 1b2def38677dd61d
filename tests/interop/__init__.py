"""The gateway against the OpenLEADR VTN, which others wrote: real processes, real HTTP, real MQTT."""
