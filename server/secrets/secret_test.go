package secrets

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

func newSecret(storage *clienttest.Fake) *Secret {
	return &Secret{Name: "shared", Description: "for the test", Live: storage, Writer: storage}
}

func TestSettle_OneReplicaWins(t *testing.T) {
	storage := clienttest.NewFake()
	const replicas = 5
	settled := make([]string, replicas)
	var group sync.WaitGroup
	for i := range replicas {
		group.Go(func() {
			err := newSecret(storage).Settle(t.Context(), func(stored map[string][]byte) (map[string][]byte, error) {
				if stored != nil {
					settled[i] = string(stored["value"])
					return nil, nil
				}
				settled[i] = fmt.Sprint(i)
				return map[string][]byte{"value": []byte(settled[i])}, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for i := range settled {
		if settled[i] == "" || settled[i] != settled[0] {
			t.Fatalf("the replicas settled on %q", settled)
		}
	}
}

func TestSettle_ReplacesWhatIsStored(t *testing.T) {
	storage := clienttest.NewFake()
	for _, value := range []string{"a", "b"} {
		if err := newSecret(storage).Settle(t.Context(), func(map[string][]byte) (map[string][]byte, error) {
			return map[string][]byte{"value": []byte(value)}, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := client.Find[corev1.Secret](t.Context(), storage, Resource(), Key("shared"))
	if err != nil || stored == nil || string(stored.Data["value"]) != "b" || stored.Annotations[descriptionKey] != "for the test" {
		t.Errorf("stored %+v, %v", stored, err)
	}
}

func TestSettle_GivesUp(t *testing.T) {
	refusal := errors.New("no")
	storage := clienttest.NewFake()
	if err := newSecret(storage).Settle(t.Context(), func(map[string][]byte) (map[string][]byte, error) { return nil, refusal }); !errors.Is(err, refusal) {
		t.Errorf("got %v", err)
	}
	calls := 0
	storage.Intercept(func(verb string, resource schema.GroupResource, key client.Key) error {
		if verb == "create" && resource == Resource() {
			return apierrors.NewAlreadyExists(resource, key.Name)
		}
		return nil
	})
	err := newSecret(storage).Settle(t.Context(), func(map[string][]byte) (map[string][]byte, error) {
		calls++
		return map[string][]byte{}, nil
	})
	if !apierrors.IsAlreadyExists(err) || calls != maxAttempts {
		t.Errorf("after %d attempts: %v", calls, err)
	}
}
