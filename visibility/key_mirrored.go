package visibility

// Mirrored reports whether requests of this key are copies made by Envoy, as
// [GraphEdge] tells them apart.
func (k *Key) Mirrored() bool { return isMirrored(k) }
