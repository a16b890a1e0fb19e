package fairness

import "time"

// HasRivals makes l believe that other flows are active, so that no flow has more seats than its own.
func (l *Limiter) HasRivals() {
	for _, p := range []*pool{l.line.workspaces, l.line.tenants} {
		p.rivalry.until = time.Now().Add(time.Hour)
	}
}
