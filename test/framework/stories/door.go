package stories

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/annex-dev/annex/test/framework/annex"
)

// Users are the names of those in the stories. A Door must know all of them; none has a right that the platform team did not give.
var Users = []string{"alice", "bob", "carol", "dave", "erin", "mallory", "seeder", "archiver", "operator"}

// commandTimeout bounds one command.
const commandTimeout = 3 * time.Minute

// Door is how people reach a server.
type Door struct {
	// Name is part of the names of workspaces.
	Name string
	// Server is Annex, for its administrator, who makes the workspaces in which stories begin.
	Server *annex.Server
	// Credentials returns the flags with which kubectl is the user.
	Credentials func(t *testing.T, user string) []string
	// Address returns the server URL of a place.
	Address func(p Place) string
	// Impersonates says that Annex decides who may act as somebody else. A host cluster decides that itself, by its own RBAC.
	Impersonates bool
	// AuditLogs are the files to which the servers write what they did, in JSON.
	AuditLogs []string
}

// Place is where a command goes: into a workspace, or to the endpoint of a controller in one cluster or, with *, in all of its clusters.
type Place struct {
	// Workspace is the path of the workspace. For an endpoint, it is the one that has the APIExport or WorkspaceType.
	Workspace string
	// Endpoint is apiexport, initializingworkspaces or terminatingworkspaces; empty for the workspace itself.
	Endpoint string
	// Name is that of the APIExport or WorkspaceType, ID the name of the logical cluster of Workspace.
	Name, ID string
	// Cluster is the target of an endpoint.
	Cluster string
}

// AtServer is how a place is reached at the address of Annex itself.
func (p Place) AtServer(base string) string {
	switch p.Endpoint {
	case "":
		return base + "/clusters/" + p.Workspace
	case apiExport:
		return base + "/services/apiexport/" + p.ID + "/" + p.Name + "/clusters/" + p.Cluster
	}
	return base + "/services/" + p.Endpoint + "/" + p.ID + ":" + p.Name + "/clusters/" + p.Cluster
}

// AtHost is how a place is reached through a host cluster.
func (p Place) AtHost(base string) string {
	switch p.Endpoint {
	case "":
		return base + "/apis/tenancy.kcp.io/v1alpha1/workspaces/" + p.Workspace + "/proxy"
	case apiExport:
		return base + "/apis/apis.kcp.io/v1alpha2/apiexports/" + p.Workspace + ":" + p.Name + "/proxy/clusters/" + p.Cluster
	}
	return base + "/apis/tenancy.kcp.io/v1alpha1/workspacetypes/" + p.Workspace + ":" + p.Name + "/proxy/" + p.Endpoint + "/clusters/" + p.Cluster
}

const (
	apiExport    = "apiexport"
	initializing = "initializingworkspaces"
	terminating  = "terminatingworkspaces"
)

// stage is one story as it is told at a door.
type stage struct {
	*testing.T
	door  Door
	org   string // path of the workspace that the story has for itself
	orgID string
	cache string
}

// at returns the place of an endpoint of the organization's workspace.
func (s *stage) at(endpoint, name, cluster string) Place {
	return Place{Workspace: s.org, ID: s.orgID, Endpoint: endpoint, Name: name, Cluster: cluster}
}

func (s *stage) in(path string) Place { return Place{Workspace: path} }

// try types a command as a user and returns all that it printed.
func (s *stage) try(user string, at Place, stdin string, args ...string) (string, error) {
	s.Helper()
	binary, err := annex.Program("kubectl")
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.Context()), commandTimeout)
	defer cancel()
	flags := append(s.door.Credentials(s.T, user), "--server", s.door.Address(at), "--cache-dir", filepath.Join(s.cache, user))
	command := exec.CommandContext(ctx, binary, append(flags, args...)...)
	command.Env = append(os.Environ(), "HOME="+s.cache)
	command.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err = command.Run()
	return strings.TrimSpace(out.String()), err
}

// types is try for what must succeed.
func (s *stage) types(user string, at Place, stdin string, args ...string) string {
	s.Helper()
	out, err := s.try(user, at, stdin, args...)
	if err != nil {
		s.Fatalf("%s types kubectl %s at %+v: %v\n%s", user, strings.Join(args, " "), at, err, out)
	}
	return out
}

// forbidden is what kubectl says when somebody lacks a right. Where they may not even know what there is, it says the second.
const forbidden = "(Forbidden)|you may not enter it"

// refused types what must fail with these words, or others after a |.
func (s *stage) refused(user string, at Place, words, stdin string, args ...string) {
	s.Helper()
	out, err := s.try(user, at, stdin, args...)
	if err == nil || !slices.ContainsFunc(strings.Split(words, "|"), func(some string) bool { return strings.Contains(out, some) }) {
		s.Errorf("%s types kubectl %s at %+v, and gets %v, want %q in:\n%s", user, strings.Join(args, " "), at, err, words, out)
	}
}

// awaits types a command until it prints what is wanted.
func (s *stage) awaits(user string, at Place, want string, args ...string) {
	s.Helper()
	annex.Eventually(s, func(context.Context) error {
		out, err := s.try(user, at, "", args...)
		if err != nil || out != want {
			return fmt.Errorf("%s types kubectl %s and gets %q, want %q: %v", user, strings.Join(args, " "), out, want, err) //nolint:errorlint // may be nil
		}
		return nil
	})
}

// awaitsSuccess types a command until it succeeds.
func (s *stage) awaitsSuccess(user string, at Place, stdin string, args ...string) {
	s.Helper()
	annex.Eventually(s, func(context.Context) error {
		if out, err := s.try(user, at, stdin, args...); err != nil {
			return fmt.Errorf("%s types kubectl %s: %w: %s", user, strings.Join(args, " "), err, out)
		}
		return nil
	})
}
