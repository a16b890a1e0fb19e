package replicas

import (
	"context"
	"fmt"
	"sync"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/test/framework/annex"
)

// The first tokens are made at all replicas at the same time, and each is good at every replica at once. So is the news that it is not.
func TestReplicas_ShareTheKeysOfTokens(t *testing.T) {
	w := theWorld
	path := w.newWorkspace(t, 0, "tokens")
	admins := w.in(t, path)
	for i := range replicas {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("robot-%d", i)}}
		if _, err := admins.typed[i].CoreV1().ServiceAccounts("default").Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	var tokens [replicas]string
	var errs [replicas]error
	var all sync.WaitGroup
	for i := range replicas {
		all.Go(func() {
			var request *authenticationv1.TokenRequest
			// The account was made at another replica.
			request, errs[i] = admins.typed[(i+1)%replicas].CoreV1().ServiceAccounts("default").CreateToken(t.Context(), fmt.Sprintf("robot-%d", i), &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
			if errs[i] == nil {
				tokens[i] = request.Status.Token
			}
		})
	}
	all.Wait()
	ask := func(ctx context.Context, at, robot int) error {
		review, err := w.as(t, at, tokens[robot], path).AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		if name, want := review.Status.UserInfo.Username, fmt.Sprintf("system:serviceaccount:default:robot-%d", robot); name != want {
			return fmt.Errorf("it is %q, want %q", name, want)
		}
		return nil
	}
	for robot := range replicas {
		if errs[robot] != nil {
			t.Fatal(errs[robot])
		}
		for at := range replicas {
			if err := ask(t.Context(), at, robot); err != nil {
				t.Errorf("the token of robot %d at replica %d: %v", robot, at, err)
			}
		}
	}
	for robot := range replicas {
		if err := admins.typed[robot].CoreV1().ServiceAccounts("default").Delete(t.Context(), fmt.Sprintf("robot-%d", robot), metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		for at := range replicas {
			annex.Eventually(t, func(ctx context.Context) error {
				if err := ask(ctx, at, robot); !apierrors.IsUnauthorized(err) {
					return fmt.Errorf("the token of robot %d, which is deleted, at replica %d: %w", robot, at, err)
				}
				return nil
			})
		}
	}
}
