package kubeconfig

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	type parser = func(string) (Target, error)
	for _, test := range []struct {
		parse parser
		in    string
		want  Target
		// wantErr is in the error.
		wantErr string
	}{
		{parse: ParseWorkspace, in: "root", want: Target{Workspace: "root"}},
		{parse: ParseWorkspace, in: "root:org:team", want: Target{Workspace: "root:org:team"}},
		{parse: ParseWorkspace, in: "system:admin", want: Target{Workspace: "system:admin"}},
		{parse: ParseWorkspace, in: "team-a", want: Target{Child: "team-a"}},
		{parse: ParseWorkspace, in: "a", want: Target{Child: "a"}},
		{parse: ParseWorkspace, in: "", wantErr: "use a path such as root:org:team"},
		{parse: ParseWorkspace, in: "Team", wantErr: `"Team" is not a workspace`},
		{parse: ParseWorkspace, in: "*", wantErr: `"*" is not a workspace`},
		{parse: ParseWorkspace, in: "root:", wantErr: `"root:" is not a path of a workspace`},
		{parse: ParseWorkspace, in: "root:Org", wantErr: `"root:Org" is not a path of a workspace`},
		{parse: ParseWorkspace, in: "root:org/team", wantErr: "is not a path of a workspace"},
		{parse: ParseWorkspace, in: "~", wantErr: "is not a workspace"},
		{parse: ParseExport, in: "root:provider:widgets.example.com", want: Target{Workspace: "root:provider", Export: "widgets.example.com"}},
		{parse: ParseExport, in: "widgets", want: Target{Export: "widgets"}},
		{parse: ParseExport, in: "", wantErr: "does not name an APIExport"},
		{parse: ParseExport, in: "root:provider:", wantErr: "does not name an APIExport"},
		{parse: ParseExport, in: "*:widgets", wantErr: "means all workspaces"},
		{parse: ParseExport, in: "root:provider:a/b", wantErr: "is not a name of an APIExport"},
		{parse: ParseExport, in: "Root:widgets", wantErr: "is not a path of a workspace"},
	} {
		got, err := test.parse(test.in)
		if test.wantErr == "" && (err != nil || got != test.want) || test.wantErr != "" && (err == nil || !strings.Contains(err.Error(), test.wantErr)) {
			t.Errorf("%q: %+v, %v; want %+v, %q", test.in, got, err, test.want, test.wantErr)
		}
	}
}

func TestParseDoor(t *testing.T) {
	for _, test := range []struct {
		server string
		want   door
		found  bool
	}{
		{"https://host:6443", door{base: "https://host:6443"}, false},
		{"https://host:6443/", door{base: "https://host:6443"}, false},
		{"https://rancher/k8s/proxy", door{base: "https://rancher/k8s/proxy"}, false},
		{"https://annex/clusters/root", door{base: "https://annex", here: "root"}, true},
		{"https://annex/clusters/root:org/", door{base: "https://annex", here: "root:org"}, true},
		{"https://annex/clusters/*", door{base: "https://annex"}, true},
		{"https://annex/services/apiexport/root/widgets", door{base: "https://annex"}, true},
		{"https://annex/services/apiexport/root/widgets/clusters/*", door{base: "https://annex"}, true},
		{"https://host/apis/tenancy.kcp.io/v1alpha1/workspaces/root:org/proxy", door{base: "https://host", host: true, here: "root:org"}, true},
		{"https://host/apis/apis.kcp.io/v1alpha1/apiexports/root:p:w/proxy/clusters/*", door{base: "https://host", host: true}, true},
		{"https://host/apis/tenancy.kcp.io/v1alpha1/workspacetypes/root:t/proxy/initializingworkspaces/clusters/*", door{base: "https://host", host: true}, true},
		{"https://annex/services/terminatingworkspaces/root:t/clusters/*", door{base: "https://annex"}, true},
		{"https://rancher/k8s/clusters/c-1/apis/tenancy.kcp.io/v1alpha1/workspaces/team/proxy", door{base: "https://rancher/k8s/clusters/c-1", host: true, here: "team"}, true},
	} {
		got, found, err := parseDoor(test.server)
		if err != nil || got != test.want || found != test.found {
			t.Errorf("%s: %+v, %v, %v; want %+v, %v", test.server, got, found, err, test.want, test.found)
		}
	}
	for _, bad := range []string{"", "host:6443", "ftp://host", "https://", "https://host?x=y", "https://u:p@host"} {
		if got, _, err := parseDoor(bad); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}
