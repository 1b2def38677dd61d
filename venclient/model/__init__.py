"""Site nouns: resources, connections and readings; frozen where the contract allows, no I/O."""
