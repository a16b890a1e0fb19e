package hostile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/rest"
)

// Users of the server, which must be started with [TokenFile]. A token is the name of its user followed by -token.
const (
	attacker = "mallory"  // administers workspaces of her own
	limited  = "trudy"    // may write RBAC in one of them, without bind and escalate
	victim   = "victor"   // administers the workspace that must not notice
	stranger = "stranger" // has no rights anywhere
)

// TokenFile is what --token-auth-file must hold.
const TokenFile = `mallory-token,mallory,1
trudy-token,trudy,2
victor-token,victor,3
stranger-token,stranger,4
`

// maxFaults bounds how many faults are remembered.
const maxFaults = 10

// Scene is the workspaces of an attacker, and that of a victim.
type Scene struct {
	server   *rest.Config // address and CA, without credentials
	operator *tenant
	// id is part of all names below root.
	id string
	// victimPath is the victim's workspace, and secret is in each of its objects. No request of an attack ever has it.
	victimPath, secret string
	kept               map[string]string // objects of the victim: path and resourceVersion

	mu     sync.Mutex
	made   []string // workspaces below root
	faults []error
	codes  map[int]int
}

// NewScene makes the victim's workspace. operator may do everything below root, at a URL without a path. Close the scene.
func NewScene(ctx context.Context, operator *rest.Config) (*Scene, error) {
	s := &Scene{
		server: rest.AnonymousClientConfig(operator), id: "hostile-" + rand.String(6), secret: "secret" + rand.String(20),
		kept: map[string]string{}, codes: map[int]int{},
	}
	var err error
	if s.operator, err = newTenant(s, operator, ""); err != nil {
		return nil, err
	}
	if s.victimPath, err = s.newWorkspace(ctx, "victim", victim); err != nil {
		return nil, errors.Join(err, s.Close(ctx))
	}
	if err := s.fillVictim(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("filling the victim's workspace: %w", err), s.Close(ctx))
	}
	return s, nil
}

func (s *Scene) fillVictim(ctx context.Context) error {
	owner, err := s.as(victim, s.victimPath)
	if err != nil {
		return err
	}
	defer owner.close()
	for path, body := range map[string]string{
		"/api/v1/namespaces/default/configmaps": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"kept"},"data":{"a":"` + s.secret + `"}}`,
		"/api/v1/namespaces/default/secrets":    `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"kept"},"stringData":{"a":"a"},"type":"` + s.secret + `"}`,
		"/apis/tenancy.kcp.io/v1alpha1/workspacetypes": `{"apiVersion":"tenancy.kcp.io/v1alpha1","kind":"WorkspaceType","metadata":{"name":"hidden","annotations":{"a":"` + s.secret +
			`"}},"spec":{"extend":{"with":[{"path":"root","name":"universal"}]}}}`,
	} {
		a, err := owner.must(ctx, http.MethodPost, path, body, http.StatusCreated)
		if err != nil {
			return err
		}
		s.kept[path+"/"+a.name()] = a.version()
	}
	return nil
}

// Unharmed returns an error if an answer was one that the server must not give, if the victim's objects are not as they were, or if
// the server is not ready.
func (s *Scene) Unharmed(ctx context.Context) error {
	owner, err := s.as(victim, s.victimPath)
	if err != nil {
		return err
	}
	defer owner.close()
	s.mu.Lock()
	faults := append([]error(nil), s.faults...)
	s.mu.Unlock()
	for path, version := range s.kept {
		a, err := owner.expect(ctx, http.MethodGet, path, "", http.StatusOK)
		if err == nil && (a.version() != version || !bytes.Contains(a.body, []byte(s.secret))) {
			err = fmt.Errorf("%s was changed: %s", path, a.body)
		}
		faults = append(faults, err)
	}
	_, err = s.operator.expect(ctx, http.MethodGet, "/readyz", "", http.StatusOK)
	return errors.Join(append(faults, err)...)
}

// Answers returns how many answers had each code.
func (s *Scene) Answers() map[int]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	answers := make(map[int]int, len(s.codes))
	for code, n := range s.codes {
		answers[code] = n
	}
	return answers
}

// Close deletes all workspaces of the scene and waits until they are gone.
func (s *Scene) Close(ctx context.Context) error {
	defer s.operator.close()
	var faults []error
	for _, name := range s.made {
		_, err := s.operator.must(ctx, http.MethodDelete, workspacesOf("root")+"/"+name, "", http.StatusOK, http.StatusNotFound)
		faults = append(faults, err)
	}
	for _, name := range s.made {
		faults = append(faults, s.operator.until(ctx, workspacesOf("root")+"/"+name, "it is gone", func(a answer) bool { return a.code == http.StatusNotFound }))
	}
	return errors.Join(faults...)
}

// judge remembers an answer, and what is wrong with it. Of the victim's workspace only the victim may see anything. On a busy machine a
// request may not be finished in time (504).
func (s *Scene) judge(who, method, path string, a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes[a.code]++
	if len(s.faults) >= maxFaults {
		return
	}
	if a.code >= http.StatusInternalServerError && a.code != http.StatusNotImplemented && a.code != http.StatusGatewayTimeout {
		s.faults = append(s.faults, fmt.Errorf("%s: %s %.300s: %d %.500s", who, method, path, a.code, a.body))
	}
	if who != victim && bytes.Contains(a.body, []byte(s.secret)) {
		s.faults = append(s.faults, fmt.Errorf("%s: %s %.300s: %d with what belongs to the victim: %.500s", who, method, path, a.code, a.body))
	}
}

func workspacesOf(path string) string {
	return "/clusters/" + path + "/apis/tenancy.kcp.io/v1alpha1/workspaces"
}

// newWorkspace makes a workspace below root and its administrator, and returns its path.
func (s *Scene) newWorkspace(ctx context.Context, name, user string) (string, error) {
	name = s.id + "-" + name
	s.mu.Lock()
	s.made = append(s.made, name)
	s.mu.Unlock()
	if err := s.operator.newWorkspace(ctx, "root", name); err != nil {
		return "", err
	}
	path := "root:" + name
	for role, binding := range map[string]string{"cluster-admin": "hostile-admin", "system:kcp:workspace:access": "hostile-access"} {
		if err := s.operator.bind(ctx, path, binding, role, user); err != nil {
			return "", err
		}
	}
	owner, err := s.as(user, path)
	if err != nil {
		return "", err
	}
	defer owner.close()
	return path, owner.until(ctx, "/api/v1/namespaces/default/configmaps", user+" may work in "+path, ok)
}

// newOwner makes a workspace of the attacker, and returns its path and the attacker there, whom the caller closes.
func (s *Scene) newOwner(ctx context.Context, name string) (path string, owner *tenant, err error) {
	if path, err = s.newWorkspace(ctx, name, attacker); err != nil {
		return "", nil, err
	}
	owner, err = s.as(attacker, path)
	return path, owner, err
}
