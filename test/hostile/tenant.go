package hostile

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/crowd"
)

const (
	// maxAnswer is how much of an answer is looked at, in bytes; the rest is read and dropped.
	maxAnswer = 4 << 20
	// pause is between two looks at what is to change.
	pause = 50 * time.Millisecond
)

const (
	applyPatch = "application/apply-patch+yaml"
	jsonPatch  = "application/json-patch+json"
	mergePatch = "application/merge-patch+json"
	yamlType   = "application/yaml"
)

// tenant is a user at an address, over a connection that nobody else uses.
type tenant struct {
	scene *Scene
	conn  *crowd.Connection
	user  string
	base  string
}

// as returns a user of the token file in the workspace with the path. A user without a name sends no credentials.
func (s *Scene) as(user, path string) (*tenant, error) {
	config := rest.CopyConfig(s.server)
	if user != "" {
		config.BearerToken = user + "-token"
	}
	t, err := newTenant(s, config, user)
	if err != nil {
		return nil, err
	}
	t.base = crowd.ClusterURL(s.server.Host, path)
	return t, nil
}

func newTenant(s *Scene, config *rest.Config, user string) (*tenant, error) {
	conn, err := crowd.Connect(config)
	if err != nil {
		return nil, err
	}
	return &tenant{scene: s, conn: conn, user: user, base: config.Host}, nil
}

func (t *tenant) close() { t.conn.Close() }

// answer is what came back.
type answer struct {
	code   int
	header http.Header
	body   []byte
}

func ok(a answer) bool { return a.code == http.StatusOK }

// object returns the metadata in the answer; empty if it has none.
func (a answer) object() metav1.PartialObjectMetadata {
	var o metav1.PartialObjectMetadata
	if json.Unmarshal(a.body, &o) != nil {
		return metav1.PartialObjectMetadata{}
	}
	return o
}

func (a answer) name() string    { return a.object().Name }
func (a answer) version() string { return a.object().ResourceVersion }

// send sends one request and judges the answer. The path is as it stands in a URL. contentType is JSON by default.
func (t *tenant) send(ctx context.Context, method, path, body string, contentType ...string) (answer, error) {
	return t.sendWith(ctx, method, path, body, http.Header{"Content-Type": append(contentType, "application/json")[:1]})
}

func (t *tenant) sendWith(ctx context.Context, method, path, body string, header http.Header) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, t.base+path, strings.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("making a request: %w", err)
	}
	request.Header = header
	response, err := t.conn.HTTP.Do(request)
	if err != nil {
		return answer{}, fmt.Errorf("%s %.200s: %w", method, path, err)
	}
	defer func() { _ = response.Body.Close() }()
	a := answer{code: response.StatusCode, header: response.Header}
	if a.body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer)); err == nil {
		_, err = io.Copy(io.Discard, response.Body)
	}
	if err != nil {
		return answer{}, fmt.Errorf("%s %.200s: reading the answer: %w", method, path, err)
	}
	t.scene.judge(t.user, method, path, a)
	return a, nil
}

// expect is send, with an error for an answer of another code.
func (t *tenant) expect(ctx context.Context, method, path, body string, codes ...int) (answer, error) {
	a, err := t.send(ctx, method, path, body)
	if err == nil && !slices.Contains(codes, a.code) {
		err = fmt.Errorf("%s: %s %.200s: %d, want %v: %.500s", t.user, method, path, a.code, codes, a.body)
	}
	return a, err
}

// must is expect for preparations, which take their time: it tries again as long as the answer is 429.
func (t *tenant) must(ctx context.Context, method, path, body string, codes ...int) (answer, error) {
	for {
		a, err := t.expect(ctx, method, path, body, append(codes, http.StatusTooManyRequests)...)
		if err != nil || a.code != http.StatusTooManyRequests {
			return a, err
		}
		if err := crowd.Sleep(ctx, pause); err != nil {
			return a, err
		}
	}
}

// until reads the path again and again until enough is true of the answer.
func (t *tenant) until(ctx context.Context, path, what string, enough func(answer) bool) error {
	var last answer
	for {
		a, err := t.send(ctx, http.MethodGet, path, "")
		if err == nil && enough(a) {
			return nil
		}
		if ctx.Err() == nil && err != nil {
			return err
		}
		if err == nil {
			last = a
		}
		if err := crowd.Sleep(ctx, pause); err != nil {
			return fmt.Errorf("waiting until %s: %w; the last answer was %d %.500s", what, err, last.code, last.body)
		}
	}
}

// newWorkspace makes a workspace at the tenant's base, and waits until it is Ready.
func (t *tenant) newWorkspace(ctx context.Context, parent, name string) error {
	at := workspacesOf(parent)
	if t.base != t.scene.server.Host {
		at = strings.TrimPrefix(at, "/clusters/"+parent) // it is there already
	}
	body := `{"apiVersion":"tenancy.kcp.io/v1alpha1","kind":"Workspace","metadata":{"name":"` + name + `"},"spec":{"type":{"path":"root","name":"universal"}}}`
	if _, err := t.must(ctx, http.MethodPost, at, body, http.StatusCreated); err != nil {
		return err
	}
	return t.until(ctx, at+"/"+name, name+" is Ready", func(a answer) bool { return strings.Contains(string(a.body), `"phase":"Ready"`) })
}

// bind gives a user a ClusterRole in the workspace with the path.
func (t *tenant) bind(ctx context.Context, path, name, role, user string) error {
	_, err := t.must(ctx, http.MethodPost, "/clusters/"+path+"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", clusterRoleBinding(name, role, user), http.StatusCreated)
	return err
}

func clusterRoleBinding(name, role, user string) string {
	return fmt.Sprintf(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":%q},`+
		`"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":%q},"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":%q}]}`, name, role, user)
}

// storm does n things with many connections of a user at a time, each with a connection of its own. It ends with its context.
func (s *Scene) storm(ctx context.Context, user, path string, connections, n int, do func(ctx context.Context, t *tenant, i int) error) error {
	tenants := make([]*tenant, connections)
	for i := range tenants {
		t, err := s.as(user, path)
		if err != nil {
			return err
		}
		defer t.close()
		tenants[i] = t
	}
	_, err := crowd.Parallel(ctx, connections, n, func(ctx context.Context, client, i int) error { return do(ctx, tenants[client], i) })
	return unlessOver(ctx, err)
}

// unlessOver drops an error of an attack whose time is over.
func unlessOver(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
