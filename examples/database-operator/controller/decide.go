package controller

import (
	"time"

	databasev1 "github.com/annex-dev/annex/examples/database-operator/api/v1"
)

// login is what a Secret says.
type login struct {
	username, password string
	// issuedAt is when the password was made. Zero: not known.
	issuedAt time.Time
	// asked is the value of the rotate annotation for which it was made.
	asked string
}

// skew is how much the clocks of replicas may differ.
const skew = time.Minute

// defaultLimit is how many connections a Database has that does not say.
const defaultLimit = 20

func (j *job) limit() int32 {
	if limit := j.database.Spec.ConnectionLimit; limit > 0 {
		return limit
	}
	return defaultLimit
}

// due returns why a new password is needed; nothing if the one in the Secret stays. valid is whether it works.
func (j *job) due(l login, valid bool, now time.Time) string {
	switch {
	case l.username == "" || l.password == "":
		return "it had none"
	case !valid:
		return "the one it had does not work"
	case l.issuedAt.IsZero() || l.issuedAt.After(now.Add(skew)):
		return "the age of the one it had is not known"
	case l.asked != j.database.Annotations[databasev1.RotateAnnotation]:
		return "the annotation " + databasev1.RotateAnnotation + " asks for it"
	case j.interval() > 0 && !now.Before(l.issuedAt.Add(j.interval())):
		return "the one it had is older than the rotation interval"
	}
	return ""
}

func (j *job) interval() time.Duration {
	if j.database.Spec.RotationInterval == nil {
		return 0
	}
	return j.database.Spec.RotationInterval.Duration
}

// nextRotation returns how long a password stays; 0 for ever.
func (j *job) nextRotation(l login, now time.Time) time.Duration {
	if j.interval() <= 0 {
		return 0
	}
	return max(l.issuedAt.Add(j.interval()).Sub(now), time.Second)
}

// soonest returns the shorter of two times, of which 0 means never.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}
