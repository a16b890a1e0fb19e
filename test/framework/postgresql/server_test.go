package postgresql

import (
	"slices"
	"testing"
)

// What was acknowledged is there after a crash.
func TestServer_SurvivesKill(t *testing.T) {
	s := Start(t)
	s.Ask(t, "CREATE TABLE kept (name text)")
	s.Ask(t, "INSERT INTO kept VALUES ('a'), ('b')")
	s.Kill()
	if _, err := s.As("postgres", superuser, s.password, "SELECT 1"); err == nil {
		t.Error("it answers after it was killed")
	}
	s.Restart(t)
	if got := s.Ask(t, "SELECT name FROM kept ORDER BY name"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("after the crash there is %v", got)
	}
	if _, err := s.As("postgres", superuser, "wrong", "SELECT 1"); err == nil {
		t.Error("a wrong password is accepted")
	}
}
