package install

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	hostframework "github.com/annex-dev/annex/test/framework/host"
	"github.com/annex-dev/annex/test/framework/postgresql"
)

const (
	examplesDir   = "../../../examples/"
	operatorChart = examplesDir + "charts/operator"
)

// exampleImages are the operators of the examples that run in pods.
var exampleImages = []string{"database-operator", "initializer"}

// runOperator installs the two parts of an example as its page says.
func runOperator(t *testing.T, provider *hostframework.User, path, example, workspace string) {
	t.Helper()
	provider.Helm(path, "install", example, examplesDir+example+"/provider")
	mustHelm(t, "install", example, operatorChart, "--namespace", example, "-f", examplesDir+example+"/operator.yaml",
		"--set", "image="+example, "--set", "workspace="+workspace, "--wait")
}

// bindDatabases binds the API of the database operator in a workspace, as its page says.
func bindDatabases(u *hostframework.User, workspace string) {
	u.Kubectl(workspace, `
apiVersion: apis.kcp.io/v1alpha2
kind: APIBinding
metadata: {name: databases}
spec:
  reference: {export: {path: "root:platform", name: databases}}
  permissionClaims:
  - group: ""
    resource: secrets
    verbs: ["*"]
    state: Accepted
    selector: {matchLabels: {app.kubernetes.io/managed-by: database-operator}}
  - {group: "", resource: events, verbs: ["*"], state: Accepted, selector: {matchAll: true}}
`, "create", "-f", "-")
	u.Kubectl(workspace, "", "wait", "--for=condition=Ready", "--timeout=2m", "apibinding/databases")
}

// Operators run in pods that nothing but Pod Security's restricted profile may run in, and reach workspaces through the host, with the
// ServiceAccounts of their pods.
func TestOperators_InPods(t *testing.T) {
	if installed.postgres == nil {
		t.Skip(postgresql.ErrNone)
	}
	provider, ada := workspaceUser(t, "provider"), workspaceUser(t, "ada-operators")
	platform := newWorkspace(t, provider, "platform")
	if err := installed.postgres.Script(t.Context(), examplesDir+"database-operator/postgresql.sql", "password=secret"); err != nil {
		t.Fatal(err)
	}
	for _, example := range exampleImages {
		if err := installed.createNamespace(t.Context(), example); err != nil {
			t.Fatal(err)
		}
		defer deleteNamespace(t, example)
	}
	if _, err := installed.client.CoreV1().Secrets("database-operator").Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "postgresql"}, StringData: map[string]string{"uri": installed.postgres.URI("database_operator", "secret")},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, example := range exampleImages {
		runOperator(t, provider, platform, example, "root:platform")
		defer mustHelm(t, "uninstall", example, "--namespace", example, "--wait")
	}
	defer func() {
		if t.Failed() {
			t.Log(installed.node.Describe())
		}
	}()

	t.Run("a database", func(t *testing.T) {
		shop := newWorkspace(t, ada, "shop")
		bindDatabases(ada, shop)
		ada.Kubectl(shop, "{apiVersion: postgresql.example.com/v1, kind: Database, metadata: {name: orders, namespace: default}}", "create", "-f", "-")
		login := func() (fields []string) {
			t.Helper()
			if out, err := ada.Try("kubectl", shop, "", "wait", "--for=condition=Ready", "--timeout=2m", "database/orders"); err != nil {
				t.Fatalf("%v\n%s", err, out+ada.Kubectl(shop, "", "get", "database", "orders", "-o", "yaml"))
			}
			out := ada.Kubectl(shop, "", "get", "secret", "orders", "-o", `go-template={{.data.database | base64decode}} {{.data.username | base64decode}} {{.data.password | base64decode}}`)
			fields = strings.Fields(out)
			if got, err := installed.postgres.As(fields[0], fields[1], fields[2], "SELECT 1"); err != nil || got != "1" {
				t.Fatalf("logging in with the Secret: %q, %v", got, err)
			}
			return fields
		}
		before := login()
		// Another pod goes on.
		if err := installed.client.CoreV1().Pods("database-operator").DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
			t.Fatal(err)
		}
		ada.Kubectl(shop, "", "annotate", "database", "orders", "postgresql.example.com/rotate=1")
		if err := eventually(t.Context(), func(context.Context) error {
			if out := ada.Kubectl(shop, "", "get", "secret", "orders", "-o", "go-template={{.data.username | base64decode}}"); out == before[1] {
				return fmt.Errorf("the login is %s still", out)
			}
			return nil
		}); err != nil {
			t.Fatalf("%v\n%s", err, installed.node.Describe())
		}
		login()
		ada.Kubectl(shop, "", "delete", "database", "orders", "--timeout=2m")
		if left := installed.postgres.Ask(t, "SELECT datname FROM pg_database WHERE starts_with(datname, 'db_') UNION ALL SELECT rolname FROM pg_roles WHERE starts_with(rolname, 'db_')"); len(left) > 0 {
			t.Errorf("after the deletion there are %v", left)
		}
		ada.Kubectl("", "", "delete", "workspace", "shop")
	})

	t.Run("a server that is killed", func(t *testing.T) {
		var teams []*team
		names := []string{"crash-blue", "crash-green"}
		for _, name := range names {
			path := newWorkspace(t, ada, name)
			bindDatabases(ada, path)
			teams = append(teams, newTeam(t, ada, path))
		}
		crashWhileOperating(t, teams...)
		for _, name := range names {
			ada.Kubectl("", "", "delete", "workspace", name, "--timeout=2m")
		}
		if left := installed.postgres.Ask(t, "SELECT datname FROM pg_database WHERE starts_with(datname, 'db_')"); len(left) > 0 {
			t.Errorf("after the workspaces there are %v", left)
		}
	})

	t.Run("an initializer", func(t *testing.T) {
		ada.Kubectl("", `{apiVersion: tenancy.kcp.io/v1alpha1, kind: Workspace, metadata: {name: red}, spec: {type: {name: team, path: "root:platform"}}}`, "create", "-f", "-")
		ada.Kubectl("", "", "wait", "--for=jsonpath={.status.phase}=Ready", "--timeout=2m", "workspace/red")
		if out := ada.Kubectl(proxy("root:red"), "", "get", "configmap,resourcequota,rolebinding", "-n", "apps", "-o", "name"); !strings.Contains(out, "configmap/help") ||
			!strings.Contains(out, "resourcequota/limits") || !strings.Contains(out, "rolebinding.rbac.authorization.k8s.io/developers") {
			t.Errorf("the workspace has\n%s", out)
		}
		ada.Kubectl("", "", "delete", "workspace", "red")
	})

	// The ServiceAccount of an operator reaches nothing else.
	operator := installed.host.ServiceAccount(t, "database-operator", "database-operator")
	for _, elsewhere := range []string{proxy("root"), proxy("root:platform:other"), "/apis/apis.kcp.io/v1alpha2/apiexports/root:platform:other/proxy/clusters/*"} {
		if out, err := operator.Try("kubectl", elsewhere, "", "get", "configmaps", "-A"); err == nil {
			t.Errorf("the operator gets at %s\n%s", elsewhere, out)
		}
	}
	if out, err := operator.Try("kubectl", platform, "", "get", "secrets", "-A"); err == nil {
		t.Errorf("the operator reads the provider's Secrets:\n%s", out)
	}
	provider.Kubectl("", "", "delete", "workspace", "platform")
}
