package kubelet

import (
	"testing"
	"time"
)

func TestToken_IsOld(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		age, life time.Duration
		want      bool
	}{
		"young": {7 * time.Minute, 10 * time.Minute, false}, "four fifths": {8*time.Minute + time.Second, 10 * time.Minute, true},
		"long and young": {23 * time.Hour, 1000 * time.Hour, false}, "long and a day old": {25 * time.Hour, 1000 * time.Hour, true},
	} {
		issued := now.Add(-test.age)
		if got := (&token{issued: issued, expires: issued.Add(test.life)}).old(now); got != test.want {
			t.Errorf("%s: old is %v", name, got)
		}
	}
}
