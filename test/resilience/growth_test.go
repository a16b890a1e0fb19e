package resilience

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/test/framework/annex"
)

// One tenant writes several times as much as etcd may store, and never stores more than one object.
func TestGrowth_OldRevisionsDoNotFillEtcd(t *testing.T) {
	const quota, size, updates = 32 << 20, 1_000_000, 100
	for name, start := range map[string]func(t *testing.T) *annex.Server{
		"one etcd": func(t *testing.T) *annex.Server {
			return annex.Start(t, "--etcd-servers", annex.StartSmallEtcd(t, quota).URL())
		},
		"another etcd": func(t *testing.T) *annex.Server {
			return annex.Start(t, "--etcd-servers", annex.StartEtcd(t).URL(), "--etcd-servers-overrides", "/secrets#"+annex.StartSmallEtcd(t, quota).URL())
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t)
			busyPath, _ := server.NewWorkspace("root", "busy", "")
			quietPath, _ := server.NewWorkspace("root", "quiet", "")
			busyClient, _ := annex.Clients(t, impatient(server.Workspace(busyPath)))
			quietClient, _ := annex.Clients(t, impatient(server.Workspace(quietPath)))
			busy, quiet := busyClient.CoreV1().Secrets("default"), quietClient.CoreV1().Secrets("default")
			secret := func(name string) *corev1.Secret {
				return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}}
			}

			for i := range 5 {
				if _, err := quiet.Create(t.Context(), secret(fmt.Sprintf("page-%d", i)), metav1.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			watch, err := quiet.Watch(t.Context(), metav1.ListOptions{ResourceVersion: "0", FieldSelector: "metadata.name=late"})
			if err != nil {
				t.Fatal(err)
			}
			defer watch.Stop()
			first, err := quiet.List(t.Context(), metav1.ListOptions{Limit: 2})
			if err != nil || len(first.Items) != 2 {
				t.Fatalf("the first page has %d Secrets, error %v", len(first.Items), err)
			}

			object, err := busy.Create(t.Context(), secret("busy"), metav1.CreateOptions{})
			for i := 0; i < updates && err == nil; i++ {
				object.Data = map[string][]byte{"busy": fmt.Append(bytes.Repeat([]byte("x"), size), i)}
				object, err = busy.Update(t.Context(), object, metav1.UpdateOptions{})
			}
			if err != nil {
				t.Fatal(err)
			}

			// Others read on. What they began to read may be too old by now, and then the answer says how to continue.
			second, err := quiet.List(t.Context(), metav1.ListOptions{Limit: 5, Continue: first.Continue})
			if status, is := err.(apierrors.APIStatus); is && apierrors.IsResourceExpired(err) {
				second, err = quiet.List(t.Context(), metav1.ListOptions{Limit: 5, Continue: status.Status().Continue})
			}
			if err != nil || len(second.Items) != 3 || second.Items[0].Name != "page-2" || second.Continue != "" {
				t.Errorf("the second page has %d Secrets, continues with %q, error %v", len(second.Items), second.Continue, err)
			}
			if _, err := quiet.Create(t.Context(), secret("late"), metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			select {
			case event := <-watch.ResultChan():
				if late, is := event.Object.(*corev1.Secret); !is || late.Name != "late" {
					t.Errorf("the watch has ended, or says %v", event)
				}
			case <-time.After(tooLong):
				t.Error("the watch says nothing")
			}
		})
	}
}
