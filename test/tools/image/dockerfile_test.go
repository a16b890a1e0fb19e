package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The Dockerfile makes the same image with an engine; what both say must agree.
func TestDockerfile_AgreesWithTheConfig(t *testing.T) {
	content, err := os.ReadFile("../../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{}
	for line := range strings.Lines(string(content)) {
		lines[strings.TrimSpace(line)] = true
	}
	c := newImageConfig(fakeBinary("annex"), release{}, "").Config
	for _, want := range []string{
		"FROM scratch",
		"USER " + c.User,
		"WORKDIR " + c.WorkingDir,
		"ENV " + c.Env[0],
		fmt.Sprintf("ENTRYPOINT [%q]", c.Entrypoint[0]),
		fmt.Sprintf("CMD [%q]", c.Cmd[0]),
	} {
		if !lines[want] {
			t.Errorf("no line %q", want)
		}
	}
}

// Where base images come from is the engine's configuration.
func TestDockerfile_NamesNoRegistry(t *testing.T) {
	content, err := os.ReadFile("../../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "FROM" {
			continue
		}
		for _, field := range fields[1:] {
			if host, _, found := strings.Cut(field, "/"); found && strings.ContainsAny(host, ".:") {
				t.Errorf("%s names host %s", strings.TrimSpace(line), host)
			}
		}
	}
}
