package install

import (
	"bufio"
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	hostframework "github.com/annex-dev/annex/test/framework/host"
)

const (
	// watchTime is three times what hosts give to a request that is no watch.
	watchTime = 3 * time.Minute
	// eventTime bounds how late a watch may be, also on a busy machine.
	eventTime = 2 * time.Minute
)

const flower = `apiVersion: garden.example.com/v1
kind: Flower
metadata: {name: rose, namespace: default}
spec: {petals: 32}
`

// workspaceUser returns a ServiceAccount of the host, which has a token and the one rule of RBAC that a user of workspaces needs.
func workspaceUser(t *testing.T, name string) *hostframework.User {
	t.Helper()
	role := "story-" + name
	roles := installed.client.RbacV1().ClusterRoles()
	if _, err := roles.Create(t.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: role},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"tenancy.kcp.io"}, Resources: []string{"workspaces", "workspaces/proxy"}, Verbs: []string{"*"}},
		},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = roles.Delete(context.WithoutCancel(t.Context()), role, metav1.DeleteOptions{}) })
	u := installed.host.ServiceAccount(t, "default", name)
	t.Cleanup(func() {
		_ = installed.client.CoreV1().ServiceAccounts("default").Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{})
	})
	u.Grant(role)
	return u
}

// Somebody who has a token and the URL of the host, and knows nothing but kubectl and helm.
func TestStory_UserOfTheHost(t *testing.T) {
	ada, eve := workspaceUser(t, "ada"), workspaceUser(t, "eve")
	garden := newWorkspace(t, ada, "garden")

	t.Run("a custom resource", func(t *testing.T) {
		ada.Kubectl(garden, "", "apply", "-f", filepath.Join("..", "testdata", "chart", "crds", "flowers.yaml"))
		ada.Kubectl(garden, "", "wait", "--for=condition=Established", "crd/flowers.garden.example.com")
		ada.Kubectl(garden, flower, "apply", "-f", "-")
		if out := ada.Kubectl(garden, "", "get", "flowers"); !strings.Contains(out, "PETALS") || !strings.Contains(out, "32") {
			t.Errorf("kubectl get flowers:\n%s", out)
		}
		if out := ada.Kubectl(garden, "", "explain", "flowers.spec.petals"); !strings.Contains(out, "How many petals the flower has.") {
			t.Errorf("kubectl explain flowers.spec.petals:\n%s", out)
		}
	})

	watch := watchNames(t, ada.Command("kubectl", garden, "get", "configmaps", "--watch", "--output", "name"))
	ada.Kubectl(garden, "", "create", "configmap", "early")
	watch.expect("configmap/early")
	began := time.Now()

	t.Run("a chart", func(t *testing.T) {
		chart := filepath.Join("..", "testdata", "chart")
		ada.Helm(garden, "install", "bed", chart, "--skip-crds", "--namespace", "default")
		if out := ada.Helm(garden, "list", "--namespace", "default"); !strings.Contains(out, "deployed") {
			t.Errorf("helm list:\n%s", out)
		}
		if out := ada.Kubectl(garden, "", "get", "flower", "bed", "--output", "jsonpath={.spec.petals}"); out == "" {
			t.Error("the flower of the chart has no petals")
		}
		ada.Helm(garden, "uninstall", "bed", "--namespace", "default")
	})
	watch.expect("configmap/bed")

	t.Run("somebody else", func(t *testing.T) {
		stranger, err := kubernetes.NewForConfig(eve.Config(garden))
		if err != nil {
			t.Fatal(err)
		}
		configMaps := stranger.CoreV1().ConfigMaps("default")
		if _, err := configMaps.Get(t.Context(), "early", metav1.GetOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("reading in a workspace of somebody else: %v, want 403", err)
		}
		if err := configMaps.Delete(t.Context(), "early", metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("deleting in a workspace of somebody else: %v, want 403", err)
		}
		own := newWorkspace(t, eve, "shed")
		if out := eve.Kubectl(own, "", "get", "configmaps", "--output", "name"); strings.Contains(out, "early") {
			t.Errorf("in a workspace of her own, eve sees\n%s", out)
		}
		eve.Kubectl("", "", "delete", "workspace", "shed")
	})

	watch.stays(watchTime - time.Since(began))
	ada.Kubectl(garden, "", "create", "configmap", "late")
	watch.expect("configmap/late")

	ada.Kubectl("", "", "delete", "workspace", "garden")
	if out, err := ada.Try("kubectl", garden, "", "get", "configmaps"); err == nil {
		t.Errorf("after it was deleted, the workspace has\n%s", out)
	}
}

// lines are what a command prints, line by line.
type lines struct {
	*testing.T
	printed chan string
}

// watchNames starts a command that prints names until the test ends.
func watchNames(t *testing.T, command *exec.Cmd) *lines {
	t.Helper()
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	l := &lines{T: t, printed: make(chan string)}
	go func() {
		defer close(l.printed)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			l.printed <- scanner.Text()
		}
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill()
		for range l.printed { // until the reader has seen the end
		}
		_ = command.Wait()
	})
	return l
}

// expect waits for a line.
func (l *lines) expect(want string) {
	l.Helper()
	for limit := time.After(eventTime); ; {
		select {
		case line, open := <-l.printed:
			if !open {
				l.Fatalf("the watch ended before it showed %s", want)
			}
			if line == want {
				return
			}
		case <-limit:
			l.Fatalf("the watch did not show %s", want)
		}
	}
}

// stays fails unless the command runs on for that long.
func (l *lines) stays(d time.Duration) {
	l.Helper()
	for limit := time.After(d); ; {
		select {
		case line, open := <-l.printed:
			if !open {
				l.Fatal("the watch ended by itself")
			}
			l.Logf("the watch shows %s", line)
		case <-limit:
			return
		}
	}
}
