package controller

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	databasev1 "github.com/annex-dev/annex/examples/database-operator/api/v1"
	"github.com/annex-dev/annex/examples/database-operator/postgres"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func newJob(interval time.Duration, asked string) *job {
	database := &databasev1.Database{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "orders", UID: "1"}}
	if interval > 0 {
		database.Spec.RotationInterval = &metav1.Duration{Duration: interval}
	}
	if asked != "" {
		database.Annotations = map[string]string{databasev1.RotateAnnotation: asked}
	}
	return &job{
		Reconciler: &Reconciler{Host: "db.example.com", Port: 5432, Grace: time.Minute},
		database:   database, name: postgres.NameFor("root", "default", "orders"),
	}
}

func TestDue(t *testing.T) {
	good := login{username: "a", password: "p", issuedAt: now.Add(-time.Hour)}
	asked := good
	asked.asked = "1"
	for name, test := range map[string]struct {
		login    login
		valid    bool
		interval time.Duration
		wants    string // what the Database asks for
		want     string // part of the reason; empty if the password stays
	}{
		"no Secret":                    {login{}, false, 0, "", "it had none"},
		"no password":                  {login{username: "a", issuedAt: now}, true, 0, "", "it had none"},
		"a password that works":        {good, true, 0, "", ""},
		"a password that does not":     {good, false, 0, "", "does not work"},
		"no time":                      {login{username: "a", password: "p"}, true, 0, "", "not known"},
		"a time to come":               {login{username: "a", password: "p", issuedAt: now.Add(time.Hour)}, true, 0, "", "not known"},
		"a clock that is a little off": {login{username: "a", password: "p", issuedAt: now.Add(time.Second)}, true, 0, "", ""},
		"young enough":                 {good, true, 2 * time.Hour, "", ""},
		"as old as it may become":      {good, true, time.Hour, "", "rotation interval"},
		"asked for":                    {good, true, 0, "1", "annotation"},
		"done what was asked for":      {asked, true, 0, "1", ""},
		"asked for again":              {asked, true, 0, "2", "annotation"},
		"not asked for any more":       {asked, true, 0, "", "annotation"},
	} {
		got := newJob(test.interval, test.wants).due(test.login, test.valid, now)
		if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestNextRotation(t *testing.T) {
	l := login{issuedAt: now.Add(-time.Hour)}
	for interval, want := range map[time.Duration]time.Duration{0: 0, 3 * time.Hour: 2 * time.Hour, time.Hour: time.Second} {
		if got := newJob(interval, "").nextRotation(l, now); got != want {
			t.Errorf("with the interval %s, the next is in %s, want %s", interval, got, want)
		}
	}
	for _, test := range [][3]time.Duration{{0, 0, 0}, {0, 5, 5}, {5, 0, 5}, {5, 3, 3}} {
		if got := soonest(test[0], test[1]); got != test[2] {
			t.Errorf("the soonest of %d and %d is %d", test[0], test[1], got)
		}
	}
}

// What is written is what is read, and what a consumer writes is harmless.
func TestSecret(t *testing.T) {
	j := newJob(0, "1")
	want := login{username: j.name.Logins()[1], password: "p@ss/word", issuedAt: now, asked: "1"}
	secret := j.secretFor(want)
	if got := j.loginOf(secret); got != want {
		t.Errorf("read is %+v, want %+v", got, want)
	}
	if !metav1.IsControlledBy(secret, j.database) {
		t.Error("the Secret does not belong to the Database")
	}
	if uri, end := string(secret.Data[databasev1.SecretURI]), ":p%40ss%2Fword@db.example.com:5432/"+string(j.name); !strings.HasSuffix(uri, end) {
		t.Errorf("the URI is %s, want it to end with %s", uri, end)
	}
	for _, forged := range []*corev1.Secret{nil, {}, {ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{issuedAnnotation: "yesterday"}}, Data: map[string][]byte{databasev1.SecretUsername: []byte("postgres")}}} {
		if got := j.loginOf(forged); !got.issuedAt.IsZero() || j.name.Has(got.username) {
			t.Errorf("of %v, %+v is believed", forged, got)
		}
	}
}
