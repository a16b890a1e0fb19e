package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
)

// canI is a condition: kubectl auth can-i answers so.
func canI(server *annex.Server, workspace, want string, args ...string) func(context.Context) error {
	return func(context.Context) error {
		// "no" may be followed by a reason, and is an exit code of 1 as well.
		out, stderr, _ := server.TryKubectl(workspace, "", append([]string{"auth", "can-i"}, args...)...)
		if answer, _, _ := strings.Cut(strings.TrimSpace(out), " "); answer != want {
			return fmt.Errorf("can-i %v: %s%s, want %s", args, out, stderr, want)
		}
		return nil
	}
}

// everyKind makes an object of each built-in kind.
const everyKind = `
apiVersion: v1
kind: Secret
metadata: {name: s}
stringData: {a: b}
---
apiVersion: v1
kind: LimitRange
metadata: {name: l}
spec: {limits: [{type: Container, default: {cpu: 100m}}]}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: q}
spec: {hard: {configmaps: "3"}}
---
apiVersion: v1
kind: Event
metadata: {name: e}
involvedObject: {kind: ConfigMap, name: c, namespace: default}
type: Normal
reason: Made
message: it was made
lastTimestamp: "2026-01-02T03:04:05Z"
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: le}
spec: {holderIdentity: me}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: r}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: rb}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: alice}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: cr}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: crb}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cr}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: writers}]
`

func TestKubectl_TablesHaveTheColumnsThatUsersKnow(t *testing.T) {
	server := annex.Start(t)
	path, _ := server.NewWorkspace("root", "team", "")
	kubectl := kubectlIn(server, path)
	kubectl(everyKind, "apply", "-f", "-")
	kubectl("", "apply", "-f", gadgets)
	kubectl("apiVersion: tenancy.kcp.io/v1alpha1\nkind: Workspace\nmetadata: {name: child}\n", "apply", "-f", "-")
	kubectl("", "wait", "--for=jsonpath={.status.phase}=Ready", "workspace/child", "--timeout=120s")
	for _, table := range []struct{ resource, header, row string }{
		{"namespace/default", "NAME STATUS AGE", "default Active"},
		{"configmap/kube-root-ca.crt", "NAME DATA AGE", "kube-root-ca.crt 1"},
		{"secret/s", "NAME TYPE DATA AGE", "s Opaque 1"},
		// Kubernetes has taken the column of secrets out.
		{"serviceaccount/default", "NAME AGE", "default"},
		{"limitrange/l", "NAME CREATED AT", "l 20"},
		{"resourcequota/q", "NAME REQUEST LIMIT AGE", "q"},
		{"event/e", "LAST SEEN TYPE REASON OBJECT MESSAGE", "it was made"},
		{"events.events.k8s.io/e", "LAST SEEN TYPE REASON OBJECT MESSAGE", "it was made"},
		{"lease/le", "NAME HOLDER AGE", "le me"},
		{"role/r", "NAME CREATED AT", "r 20"},
		{"rolebinding/rb", "NAME ROLE AGE", "rb Role/r"},
		{"clusterrole/cr", "NAME CREATED AT", "cr 20"},
		{"clusterrolebinding/crb", "NAME ROLE AGE", "crb ClusterRole/cr"},
		{"crd/gadgets.example.org", "NAME CREATED AT", "gadgets.example.org"},
		{"workspace/child", "NAME TYPE REGION PHASE URL AGE", "child universal Ready https://"},
		{"logicalcluster/cluster", "NAME PHASE URL AGE", "cluster Ready https://"},
	} {
		out := kubectl("", "get", table.resource)
		header, row, _ := strings.Cut(out, "\n")
		// The names of the columns must be there in this order; a newer Kubernetes has some more.
		if !inOrder(strings.Fields(header), strings.Fields(table.header)) || !strings.Contains(strings.Join(strings.Fields(row), " "), table.row) {
			t.Errorf("get %s:\n%swant %s / %s", table.resource, out, table.header, table.row)
		}
	}
	contains(t, "wide bindings", kubectl("", "get", "rolebinding", "rb", "-o", "wide"), "USERS", "GROUPS", "SERVICEACCOUNTS", "alice")
	contains(t, "all namespaces", kubectl("", "get", "serviceaccounts", "-A"), "NAMESPACE", "kube-system")
	contains(t, "age of an event", kubectl("", "get", "event", "e"), "d ")
}

func inOrder(have, want []string) bool {
	for _, word := range have {
		if len(want) > 0 && word == want[0] {
			want = want[1:]
		}
	}
	return len(want) == 0
}
