package artifact

import (
	"runtime/debug"
	"testing"
	"time"
)

func fakeBinary(path string, settings ...string) *Binary {
	info := &debug.BuildInfo{GoVersion: "go1.26.8", Path: "example.org/annex"}
	for i := 0; i < len(settings); i += 2 {
		info.Settings = append(info.Settings, debug.BuildSetting{Key: settings[i], Value: settings[i+1]})
	}
	return &Binary{Path: path, Info: info}
}

func TestCreationTime_CommitUnlessSet(t *testing.T) {
	b := fakeBinary("annex", "vcs.time", "2026-11-22T14:15:10+02:00")
	for epoch, want := range map[string]time.Time{
		"":           time.Date(2026, 11, 22, 12, 15, 10, 0, time.UTC),
		"1700000000": time.Date(2023, 11, 14, 22, 13, 20, 0, time.UTC),
	} {
		if got, err := CreationTime(epoch, b); err != nil || got != want {
			t.Errorf("with %q: %v, %v; want %v", epoch, got, err, want)
		}
	}
}

func TestSameSource_RefusesAMixture(t *testing.T) {
	a := fakeBinary("a", "vcs.revision", "1111", "vcs.modified", "false")
	older := fakeBinary("b", "vcs.revision", "1111", "vcs.modified", "false")
	older.Info.GoVersion = "go1.25.0"
	for name, b := range map[string]*Binary{
		"another commit": fakeBinary("b", "vcs.revision", "2222", "vcs.modified", "false"),
		"a changed tree": fakeBinary("b", "vcs.revision", "1111", "vcs.modified", "true"),
		"another Go":     older,
	} {
		if err := SameSource(a, b); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if err := SameSource(a, a); err != nil {
		t.Error(err)
	}
}
