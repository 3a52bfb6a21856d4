package proxy

import "time"

// SetPieceTimeout is for a proxy that has done nothing yet.
func (p *Proxy) SetPieceTimeout(d time.Duration) { p.piece = d }
