package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseOptions_ReportsAllFaults(t *testing.T) {
	_, err := parseOptions([]string{"--workspaces=0", "--clients=-1", "--workspace-type=universal", "--timeout=0s", "--scale-steps=10,12", "--churn-workspaces=9"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"--workspaces", "--clients", "--workspace-type", "--timeout", "--scale-steps: 12 must", "--churn-workspaces", "nothing to measure"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not mention %q", err, want)
		}
	}
}

func TestParseOptions_BoundFollowsWorkspaces(t *testing.T) {
	o, err := parseOptions([]string{"--kubeconfig=k", "--workspaces=7"})
	if err != nil || o.boundWorkspaces != 7 {
		t.Errorf("bound workspaces are %d (%v), want 7", o.boundWorkspaces, err)
	}
}

func TestParts(t *testing.T) {
	o, err := parseOptions([]string{"--server-binary=b", "--churn-workspaces=10001"})
	if err != nil {
		t.Fatal(err)
	}
	if got := scaleParts(o); got != 13 {
		t.Errorf("3 steps to 100,000 workspaces have %d time limits, want 13", got)
	}
	if got := churnParts(o); got != 3 {
		t.Errorf("10,001 workspaces have %d time limits, want 3", got)
	}
}

func TestSelectFigures(t *testing.T) {
	var unnamed []string
	for _, f := range figures() {
		if !f.named {
			unnamed = append(unnamed, f.name)
		}
	}
	for _, tc := range []struct {
		name      string
		args      []string
		want      []string
		wantError string
	}{
		{"a plain server allows only what is compared with one", []string{"--start-plain"}, []string{"crud", "custom", "watch", "quota", "webhook", "policy"}, ""},
		{"a running server without pid and metrics", []string{"--kubeconfig=k"},
			[]string{"create", "bind", "provider-watch", "crud", "custom", "watch", "quota", "webhook", "policy", "fairness", "delete"}, ""},
		{"our own server behind a host allows all", []string{"--server-binary=b", "--start-plain"}, unnamed, ""},
		{"some have to be named", []string{"--server-binary=b", "--figures=churn,scale"}, []string{"scale", "churn"}, ""},
		{"named ones keep their order", []string{"--server-binary=b", "--figures=delete,create"}, []string{"create", "delete"}, ""},
		{"named without what it needs", []string{"--kubeconfig=k", "--figures=memory"}, nil, "figure memory needs --pid"},
		{"unknown name", []string{"--kubeconfig=k", "--figures=speed"}, nil, `unknown figure "speed"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, err := parseOptions(tc.args)
			if err != nil {
				t.Fatalf("parsing options: %v", err)
			}
			figures, err := selectFigures(o, &strings.Builder{})
			if tc.wantError != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantError) {
					t.Errorf("error is %v, want %q", err, tc.wantError)
				}
				return
			}
			if err != nil {
				t.Fatalf("selecting figures: %v", err)
			}
			var got []string
			for _, f := range figures {
				got = append(got, f.name)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("figures (-want +got):\n%s", diff)
			}
		})
	}
}
