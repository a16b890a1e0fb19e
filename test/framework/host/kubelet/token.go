package kubelet

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// tokenCheck is how often the age of tokens is looked at. The shortest life of
// one is ten minutes.
const tokenCheck = 10 * time.Second

// maxTokenAge is when even a token of a long life is replaced, as in Kubernetes.
const maxTokenAge = 24 * time.Hour

// token is one of a ServiceAccount, bound to the pod.
type token struct {
	text            string
	issued, expires time.Time
}

// old reports whether a new one should be asked for: four fifths of its life
// are over, or a day.
func (t *token) old(now time.Time) bool {
	age := now.Sub(t.issued)
	return age > maxTokenAge || age > t.expires.Sub(t.issued)*4/5
}

// tokenFile returns the file of a projected token, which is asked for when there
// is none that is young enough.
func (p *pod) tokenFile(ctx context.Context, volume string, projection corev1.ServiceAccountTokenProjection) (map[string]file, error) {
	p.mu.Lock()
	written := p.volumes[volume]
	if written == nil {
		written = &writtenVolume{tokens: map[string]*token{}}
		p.volumes[volume] = written
	}
	have := written.tokens[projection.Path]
	p.mu.Unlock()
	if have == nil || have.old(time.Now()) {
		var err error
		if have, err = p.requestToken(ctx, projection); err != nil {
			return nil, err
		}
		p.mu.Lock()
		written.tokens[projection.Path] = have
		p.mu.Unlock()
	}
	// A kubelet gives the file to the pod's user.
	return map[string]file{projection.Path: {[]byte(have.text), 0o644}}, nil
}

func (p *pod) requestToken(ctx context.Context, projection corev1.ServiceAccountTokenProjection) (*token, error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: projection.ExpirationSeconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: p.first.Name, UID: p.uid},
	}}
	if projection.Audience != "" {
		request.Spec.Audiences = []string{projection.Audience}
	}
	issued := time.Now()
	answer, err := p.kubelet.client.CoreV1().ServiceAccounts(p.first.Namespace).CreateToken(ctx, p.first.Spec.ServiceAccountName, request, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("asking for a token: %w", err)
	}
	return &token{text: answer.Status.Token, issued: issued, expires: answer.Status.ExpirationTimestamp.Time}, nil
}
