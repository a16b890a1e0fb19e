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
