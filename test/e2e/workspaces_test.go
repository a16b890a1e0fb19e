package e2e

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
)

func TestNamespaces_AreEmptiedWhenDeleted(t *testing.T) {
	server := annex.Start(t)
	path, _ := server.NewWorkspace("root", "team", "")
	kubectl := kubectlIn(server, path)
	kubectl("", "apply", "-f", gadgets)
	kubectl("", "wait", "--for=condition=Established", "crd/gadgets.example.org", "--timeout=120s")
	kubectl("", "create", "namespace", "project")
	annex.Eventually(t, func(context.Context) error {
		if out := kubectl("", "get", "serviceaccounts,configmaps", "-n", "project", "-o", "name"); !strings.Contains(out, "serviceaccount/default") || !strings.Contains(out, "kube-root-ca.crt") {
			return errors.New("the namespace has no ServiceAccount or CA: " + out)
		}
		return nil
	})
	for _, namespace := range []string{"project", "default"} {
		kubectl(strings.ReplaceAll(everyKind, "namespace: default", "namespace: "+namespace), "apply", "-n", namespace, "-f", "-")
		kubectl(gadget, "apply", "-n", namespace, "-f", "-")
	}
	held := strings.Replace(configMap("held", "x"), "{name: held}", "{name: held, finalizers: [example.org/hold]}", 1)
	kubectl(held, "apply", "-n", "project", "-f", "-")

	kubectl("", "delete", "namespace", "project", "--wait=false")
	annex.Eventually(t, func(context.Context) error {
		if out := kubectl("", "get", "configmaps,secrets,gadgets,roles,leases", "-n", "project", "-o", "name"); strings.TrimSpace(out) != "configmap/held" {
			return errors.New("left are " + out)
		}
		return nil
	})
	contains(t, "the namespace that waits", kubectl("", "get", "namespace", "project"), "Terminating")
	contains(t, "its reason", kubectl("", "get", "namespace", "project", "-o", "yaml"), "NamespaceFinalizersRemaining", "example.org/hold")
	contains(t, "creating in it", mustFail(t, server, path, configMap("late", "x"), "create", "-n", "project", "-f", "-"), "being terminated")
	kubectl("", "patch", "configmap", "held", "-n", "project", "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
	kubectl("", "wait", "--for=delete", "namespace/project", "--timeout=120s")
	contains(t, "another namespace", kubectl("", "get", "gadgets,leases", "-o", "name"), "gadget.example.org/cart", "lease.coordination.k8s.io/le")
	kubectl("", "create", "namespace", "project")
	annex.Eventually(t, func(context.Context) error {
		if out := strings.Fields(kubectl("", "get", "configmaps,secrets,gadgets,roles,leases,serviceaccounts", "-n", "project", "-o", "name")); len(out) != 2 {
			return errors.New("the namespace of the same name begins with " + strings.Join(out, ", "))
		}
		return nil
	})
}

func TestWorkspaces_WithTheSameNamesKnowNothingOfEachOther(t *testing.T) {
	server := annex.Start(t)
	red, redCluster := server.NewWorkspace("root", "red", "")
	blue, blueCluster := server.NewWorkspace("root", "blue", "")
	// The same CRD name with another schema in each.
	kubectlIn(server, red)("", "apply", "-f", gadgets)
	kubectlIn(server, red)("", "wait", "--for=condition=Established", "crd/gadgets.example.org", "--timeout=120s")
	for workspace, value := range map[string]string{red: "red", blue: "blue"} {
		kubectl := kubectlIn(server, workspace)
		kubectl("", "create", "namespace", "project")
		kubectl(configMap("same", value), "apply", "-n", "project", "-f", "-")
		kubectl("", "create", "secret", "generic", "same", "--from-literal=color="+value)
		kubectl("", "create", "role", "same", "--verb=get", "--resource="+map[string]string{"red": "configmaps", "blue": "secrets"}[value])
	}
	kubectlIn(server, red)(gadget, "apply", "-f", "-")
	notServed(t, server, blue, "gadgets")
	contains(t, "the value in red", kubectlIn(server, red)("", "get", "configmap", "same", "-n", "project", "-o", "jsonpath={.data.key} {.metadata.annotations.kcp\\.io/cluster}"), "red "+redCluster)
	contains(t, "the value in blue by name", kubectlIn(server, blueCluster)("", "get", "configmap", "same", "-n", "project", "-o", "jsonpath={.data.key} {.metadata.annotations.kcp\\.io/cluster}"), "blue "+blueCluster)

	server.Kubectl("root", "", "delete", "workspace", "red", "--timeout=120s")
	contains(t, "a deleted workspace", mustFail(t, server, red, "", "get", "configmaps"), "does not exist, or you may not enter it")
	contains(t, "a deleted workspace by name", mustFail(t, server, redCluster, "", "get", "configmaps"), "does not exist, or you may not enter it")
	contains(t, "the other workspace", kubectlIn(server, blue)("", "get", "configmap", "same", "-n", "project", "-o", "jsonpath={.data.key}"), "blue")
	again, againCluster := server.NewWorkspace("root", "red", "")
	if againCluster == redCluster {
		t.Error("a new workspace has the logical cluster of the deleted one")
	}
	contains(t, "a new workspace of the same name", mustFail(t, server, again, "", "get", "configmap", "same", "-n", "project"), "not found")
	notServed(t, server, again, "gadgets")
}
