package integration

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/annex-dev/annex/test/framework/annex"
)

// world is a set of workspaces that hold objects of equal names. The data of each object carries a secret that says what
// it belongs to; no request ever holds one, so an answer with a secret in it gives that object away.
type world struct {
	rooms []*room
	// own is the room that alice administers; she has no rights anywhere else, root included.
	own *room
	// provided is the export of the room that user provider administers.
	provided *room
}

// room is one workspace of the world.
type room struct {
	path, cluster string
	// secret is in every object but the bound ones.
	secret string
	// bound is in every bound object; the provider of export may see it.
	bound  string
	export *room
	// tag is the value of a label on every object; requests may hold it.
	tag string
	// tokens are continue tokens and versions resource versions taken from the room's lists.
	tokens, versions []string
}

// objectName is the name of every object in every room, of every kind that allows it.
const objectName = "same"

var theWorld struct {
	once  sync.Once
	world *world
}

// build returns the world, which is made once for all tests that use it.
func build(tb testing.TB, s *annex.Server) *world {
	tb.Helper()
	theWorld.once.Do(func() { theWorld.world = makeWorld(tb, s) })
	if theWorld.world == nil {
		tb.Fatal("the workspaces could not be made in an earlier test")
	}
	return theWorld.world
}

func makeWorld(tb testing.TB, s *annex.Server) *world {
	tb.Helper()
	w := &world{}
	add := func(parent, name string, export *room) *room {
		path, cluster := newWorkspace(tb, s, parent, name)
		r := &room{path: path, cluster: cluster, secret: newSecret(tb), bound: newSecret(tb), export: export, tag: "tag-" + cluster}
		w.rooms = append(w.rooms, r)
		return r
	}
	prefix := uniqueName("world")
	first, second := add("root", prefix+"-p1", nil), add("root", prefix+"-p2", nil)
	for _, p := range []*room{first, second} {
		share(tb, s, p)
	}
	w.own, w.provided = add("root", prefix+"-own", first), first
	other := add("root", prefix+"-other", second)
	add(w.own.path, "child", second) // alice has no rights in it: nobody inherits RBAC
	add(other.path, "child", first)

	for i, r := range w.rooms {
		fill(tb, s, r, i)
	}
	admit(tb, s, w.own.path, alice)
	admit(tb, s, w.provided.path, provider)
	for _, r := range w.rooms {
		harvest(tb, s, r)
	}
	return w
}

func newSecret(tb testing.TB) string {
	raw := make([]byte, 12)
	if _, err := rand.Read(raw); err != nil {
		tb.Fatal(err)
	}
	// 24 bytes, so that base64 of it has no padding and stands unchanged at the beginning of what is longer.
	return hex.EncodeToString(raw)
}

// share publishes widgets from r.
func share(tb testing.TB, s *annex.Server, r *room) {
	tb.Helper()
	apply(tb, s.Workspace(r.path), r.write(`
apiVersion: apis.kcp.io/v1alpha1
kind: APIResourceSchema
metadata: {name: v1.widgets.example.com, labels: {tag: TAG}, annotations: {secret: SECRET}}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      type: object
      properties:
        spec: {type: object, x-kubernetes-preserve-unknown-fields: true}
        status: {type: object, x-kubernetes-preserve-unknown-fields: true}
---
apiVersion: apis.kcp.io/v1alpha2
kind: APIExport
metadata: {name: widgets, labels: {tag: TAG}, annotations: {secret: SECRET}}
spec:
  resources:
  - {name: widgets, group: example.com, schema: v1.widgets.example.com, storage: {crd: {}}}
`))
}

// fill puts an object of every kind into r. The schema of the local CRD differs between rooms of odd and even index.
func fill(tb testing.TB, s *annex.Server, r *room, index int) {
	tb.Helper()
	config := s.Workspace(r.path)
	_, client := annex.Clients(tb, config)
	field := fmt.Sprintf("field%d", index%2)
	apply(tb, config, r.write(strings.ReplaceAll(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.example.org, labels: {tag: TAG}, annotations: {secret: SECRET}}
spec:
  group: example.org
  scope: Namespaced
  names: {plural: gadgets, singular: gadget, kind: Gadget, listKind: GadgetList}
  versions:
  - name: v1
    served: true
    storage: true
    selectableFields: [{jsonPath: .spec.FIELD}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {FIELD: {type: string}}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: privates.example.org, labels: {tag: TAG}, annotations: {secret: SECRET}}
spec:
  group: example.org
  scope: Cluster
  names: {plural: privates, singular: private, kind: Private, listKind: PrivateList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, description: SECRET}}
`, "FIELD", field)))
	if r.export != nil {
		apply(tb, config, r.write(strings.ReplaceAll(`
apiVersion: apis.kcp.io/v1alpha2
kind: APIBinding
metadata: {name: same, labels: {tag: TAG}, annotations: {secret: SECRET}}
spec: {reference: {export: {path: "PATH", name: widgets}}}
`, "PATH", r.export.path)))
	}
	const meta = `metadata: {name: same, namespace: NS, labels: {tag: TAG}, annotations: {secret: SECRET}}`
	var documents []string
	for _, ns := range []string{"default", "team"} {
		text := strings.ReplaceAll(`
apiVersion: v1
kind: ConfigMap
META
data: {secret: SECRET}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: second, namespace: NS, labels: {tag: TAG}, annotations: {secret: SECRET}}
data: {secret: SECRET}
---
apiVersion: v1
kind: Secret
META
data: {secret: ENCODED}
---
apiVersion: v1
kind: ServiceAccount
META
---
apiVersion: v1
kind: LimitRange
META
spec: {limits: [{type: Pod, max: {cpu: "1"}}]}
---
apiVersion: v1
kind: Event
META
involvedObject: {namespace: NS, kind: ConfigMap, name: same}
message: SECRET
---
apiVersion: coordination.k8s.io/v1
kind: Lease
META
spec: {holderIdentity: SECRET}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
META
rules: [{apiGroups: [""], resources: [secrets], verbs: [get], resourceNames: [SECRET]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
META
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: same}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: SECRET}]`, "META", meta)
		documents = append(documents, strings.ReplaceAll(text, "NS", ns))
	}
	apply(tb, config, r.write(`
apiVersion: v1
kind: Namespace
metadata: {name: team, labels: {tag: TAG}, annotations: {secret: SECRET}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: same, labels: {tag: TAG}, annotations: {secret: SECRET}}
rules: [{nonResourceURLs: [/SECRET], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: same, labels: {tag: TAG}, annotations: {secret: SECRET}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: same}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: SECRET}]
---
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: same, labels: {tag: TAG}, annotations: {secret: SECRET}}
spec:
  signerName: example.com/a
  usages: [any]
  request: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIYU1JR0JBZ0VBTUI4eERqQU1CZ05WQkFNTUJXRnNhV05sTVEwd0N3WURWUVFLREFSMFpXRnRNRmt3RXdZSApLb1pJemowQ0FRWUlLb1pJemowREFRY0RRZ0FFUVNSYm03d2FaODZDSDJIUHd5dVFDQmNPWlFXZGFzUUpxSnlLCkk3enQ1OVYzeVJzNC9Bc094ODRZeGhYc25raHNYTDdwdXdPeERzNFY5endSaDBYbFNhQUFNQW9HQ0NxR1NNNDkKQkFNQ0EwZ0FNRVVDSVFDcy9uc2hmdGZMek55VkhuNC9XbWZVeUt1c2haQ2NybE5IVDlMUnVWcENGZ0lnRzZuRgplbkxkS0daNkpUSUVXRFlHT3U4Q05oemw5M0F4L0hQaitMbTMvS289Ci0tLS0tRU5EIENFUlRJRklDQVRFIFJFUVVFU1QtLS0tLQo=
---
`+strings.TrimPrefix(strings.Join(documents, "\n---"), "\n")))

	for _, ns := range []string{"default", "team"} {
		gadget := parse(tb, with("apiVersion: example.org/v1\nkind: Gadget\n"+strings.ReplaceAll(meta, "NS", ns)+"\nspec: {"+field+": SECRET}", r.secret, r.tag))
		create(tb, client.Resource(gadgets).Namespace(ns), gadget)
		if r.export != nil {
			widget := parse(tb, with("apiVersion: example.com/v1\nkind: Widget\n"+strings.ReplaceAll(meta, "NS", ns)+"\nspec: {field: SECRET}", r.bound, r.tag))
			create(tb, client.Resource(widgets).Namespace(ns), widget)
		}
	}
}

// write puts the secret and the tag of r into manifests.
func (r *room) write(manifests string) string { return with(manifests, r.secret, r.tag) }

func with(manifests, secret, tag string) string {
	return strings.NewReplacer("TAG", tag, "SECRET", secret, "ENCODED", base64.StdEncoding.EncodeToString([]byte(secret))).Replace(manifests)
}

// create creates obj as soon as its resource is served.
func create(tb testing.TB, client dynamic.ResourceInterface, obj *unstructured.Unstructured) {
	tb.Helper()
	eventually(tb, obj.GetKind()+" is served", func(ctx context.Context) (bool, error) {
		_, err := client.Create(ctx, obj, metav1.CreateOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return false, err
		}
		return err == nil, nil
	})
}

// harvest takes continue tokens and resource versions from the lists of r.
func harvest(tb testing.TB, s *annex.Server, r *room) {
	tb.Helper()
	admin := asAdmin(tb, s)
	for _, resource := range listed {
		if strings.Contains(resource, "widgets") && r.export == nil {
			continue
		}
		a := admin.get("/clusters/" + r.path + resource + "?limit=1")
		var list metav1.List
		if a.code != http.StatusOK || json.Unmarshal(a.body, &list) != nil {
			tb.Fatalf("listing %s in %s: %d %s", resource, r.path, a.code, a.body)
		}
		if list.Continue != "" {
			r.tokens = append(r.tokens, list.Continue)
		}
		r.versions = append(r.versions, list.ResourceVersion)
	}
	if len(r.tokens) == 0 {
		tb.Fatal("no list of a room has a second page")
	}
}

// encodings returns the ways in which a secret may stand in an answer.
func encodings(secret string) []string {
	return []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))}
}

// visible returns the secrets that a user may see.
func (w *world) visible(user string) map[string]bool {
	seen := map[string]bool{}
	grant := func(r *room) { seen[r.secret], seen[r.bound] = true, true }
	switch user {
	case alice:
		grant(w.own)
	case provider:
		grant(w.provided)
		for _, r := range w.rooms {
			if r.export == w.provided {
				seen[r.bound] = true
			}
		}
	}
	return seen
}

// leak returns the room whose secret is in body though user may not see it.
func (w *world) leak(user string, body []byte) (*room, bool) {
	allowed := w.visible(user)
	text := string(body)
	for _, r := range w.rooms {
		for _, secret := range []string{r.secret, r.bound} {
			if allowed[secret] {
				continue
			}
			for _, encoded := range encodings(secret) {
				if strings.Contains(text, encoded) {
					return r, true
				}
			}
		}
	}
	return nil, false
}
