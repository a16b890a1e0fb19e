package replicas

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/test/framework/annex"
)

// A thousand writers at three servers, one of which is killed meanwhile, fill a quota and do not exceed it. Whatever the server that was
// killed had begun is counted if it is there, and only then.
func TestReplicas_QuotasAreExact(t *testing.T) {
	const writers, most, killed = 1000, 300, 1
	w := theWorld
	c := w.in(t, w.newWorkspace(t, 0, "quota"))
	limit := func(i int, n string) {
		t.Helper()
		q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/configmaps": resource.MustParse(n)}}}
		if _, err := c.typed[i].CoreV1().ResourceQuotas("default").Create(t.Context(), q, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	// A quota is heeded everywhere as soon as it is there.
	limit(0, "1")
	for i := range replicas {
		if _, err := c.typed[i].CoreV1().ConfigMaps("default").Create(t.Context(), small("x"), metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("server %d: %v", i, err)
		}
	}
	if err := c.typed[2].CoreV1().ResourceQuotas("default").Delete(t.Context(), "q", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	limit(1, fmt.Sprint(most))

	var all sync.WaitGroup
	var created, refused atomic.Int64
	for i := range writers {
		all.Go(func() {
			for try := 0; t.Context().Err() == nil; try++ {
				_, err := c.typed[(i+try)%replicas].CoreV1().ConfigMaps("default").Create(t.Context(), small(fmt.Sprint("c-", i)), metav1.CreateOptions{})
				switch {
				case err == nil:
					if created.Add(1) == most/3 {
						w.replicas[killed].Kill()
					}
				case apierrors.IsAlreadyExists(err): // the answer was lost
				case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota: q, requested: count/configmaps=1, used: count/configmaps=300, limited: count/configmaps=300"):
					refused.Add(1)
				case retriable(err):
					continue
				default:
					t.Error(err)
				}
				return
			}
		})
	}
	all.Wait()
	w.restart(t, killed)
	w.healthy(t)
	there, err := c.typed[0].CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(there.Items) != most {
		t.Errorf("%d ConfigMaps are there, want %d: %v", len(there.Items), most, err)
	}
	t.Logf("%d were created, %d refused", created.Load(), refused.Load())
	shows := func(i int, used string) {
		t.Helper()
		annex.Eventually(t, func(ctx context.Context) error {
			q, err := c.typed[i].CoreV1().ResourceQuotas("default").Get(ctx, "q", metav1.GetOptions{})
			if err != nil {
				return err
			}
			if is := q.Status.Used["count/configmaps"]; is.String() != used {
				return fmt.Errorf("server %d shows that %s are used, want %s", i, is.String(), used)
			}
			return nil
		})
	}
	for i := range replicas {
		shows(i, fmt.Sprint(most))
	}
	if err := c.typed[2].CoreV1().ConfigMaps("default").DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "small"}); err != nil {
		t.Fatal(err)
	}
	for i := range replicas {
		shows(i, "1")
	}
}

func small(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"small": ""}}}
}
