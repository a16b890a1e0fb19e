package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
)

const gadgetSchema = `
apiVersion: apis.kcp.io/v1alpha1
kind: APIResourceSchema
metadata: {name: v1.gadgets.example.com}
spec:
  group: example.com
  names: {plural: gadgets, singular: gadget, kind: Gadget, listKind: GadgetList}
  scope: Cluster
  versions:
  - {name: v1, served: true, storage: true, schema: {type: object}}
---
apiVersion: apis.kcp.io/v1alpha2
kind: APIExport
metadata: {name: gadgets}
spec:
  resources:
  - {group: example.com, name: gadgets, schema: v1.gadgets.example.com, storage: {crd: {}}}
`

const gadgetBinding = `
apiVersion: apis.kcp.io/v1alpha2
kind: APIBinding
metadata: {name: gadgets}
spec: {reference: {export: {path: %s, name: gadgets}}}
`

const heldGadget = `
apiVersion: example.com/v1
kind: Gadget
metadata: {name: %s, finalizers: [example.com/hold]}
`

// What can be read by nobody must not keep the workspace, the binding or the provider that it belongs to.
func TestUnreadable_DeletionHeals(t *testing.T) {
	etcd := annex.StartEtcd(t)
	server := annex.Start(t, "--etcd-servers", etcd.URL())
	provider, providerCluster := server.NewWorkspace("root", "provider", "")
	server.Kubectl(provider, gadgetSchema, "apply", "-f", "-")
	consumers := map[string]string{}
	for _, name := range []string{"binding", "workspace", "healthy"} {
		path, cluster := server.NewWorkspace("root", name, "")
		consumers[name] = cluster
		server.Kubectl(path, fmt.Sprintf(gadgetBinding, provider), "apply", "-f", "-")
		annex.Eventually(t, func(context.Context) error {
			_, stderr, err := server.TryKubectl(path, fmt.Sprintf(heldGadget, "in-"+name), "apply", "-f", "-")
			if err != nil {
				return fmt.Errorf("%s: %w", stderr, err)
			}
			return nil
		})
	}
	endpoint := "/services/apiexport/" + providerCluster + "/gadgets/clusters/*/apis/example.com/v1/gadgets"
	list := func() (string, error) {
		stdout, stderr, err := server.TryKubectl("root", "", "--server", server.URL(), "get", "--raw", endpoint)
		return stdout + stderr, err
	}
	if out, err := list(); err != nil || strings.Count(out, `"kind":"Gadget"`) != 3 {
		t.Fatalf("before: %v: %s", err, out)
	}
	etcd.Break(t, "/gadgets/", "/"+consumers["binding"]+"/")
	etcd.Break(t, "/gadgets/", "/"+consumers["workspace"]+"/")
	annex.Eventually(t, func(context.Context) error {
		out, err := list()
		if err != nil || strings.Count(out, `"kind":"Gadget"`) != 1 || !strings.Contains(out, "in-healthy") {
			return fmt.Errorf("the provider's list, want the healthy one alone: %s", out)
		}
		// In the consumer the error says which object it is, as users name it.
		out, stderr, err := server.TryKubectl("root:binding", "", "get", "gadgets")
		out += stderr
		if err == nil || !strings.Contains(out, `gadgets.example.com "in-binding"`) || !strings.Contains(out, "cannot be decoded") || strings.Contains(out, "/cr/") {
			return fmt.Errorf("the consumer's list: %s", out)
		}
		return nil
	})

	server.Kubectl("root:binding", "", "delete", "apibinding", "gadgets", "--timeout=120s")
	server.Kubectl("root", "", "delete", "workspace", "workspace", "--timeout=120s")
	annex.Eventually(t, func(context.Context) error {
		out, err := list()
		if err == nil && (strings.Count(out, `"kind":"Gadget"`) != 1 || !strings.Contains(out, "in-healthy")) {
			err = errors.New("not the healthy one alone")
		}
		if err != nil {
			return fmt.Errorf("the provider's list at last: %w: %s", err, out)
		}
		return nil
	})
}
