package serving

import (
	"context"
	"fmt"
	"time"

	"github.com/annex-dev/annex/server/secrets"
)

// SecretName is the Secret of the CA, in namespace kube-system of the cluster system:admin.
const SecretName = "annex-serving-ca"

// Keys of the Secret: certificates and keys, both in PEM format and in the same order.
const (
	certificatesKey = "ca.crt"
	keysKey         = "ca.key"
)

const description = "Signs the serving certificates of all replicas. Delete it to get a new CA; clients must learn its certificate."

// settle returns the CAs that are to be used now. It makes the first one, and the next one when that is due.
func settle(ctx context.Context, secret *secrets.Secret, now time.Time) (authorities, error) {
	var current authorities
	err := secret.Settle(ctx, func(stored map[string][]byte) (map[string][]byte, error) {
		var known authorities
		if stored != nil {
			var err error
			if known, err = parse(stored[certificatesKey], stored[keysKey]); err != nil {
				return nil, fmt.Errorf("reading the CA of serving certificates in Secret %s: %w; delete it to get a new CA", secrets.Key(SecretName), err)
			}
			if !known.due(now) {
				current = known.unexpired(now)
				return nil, nil
			}
		}
		renewed, err := known.next(now)
		if err != nil {
			return nil, err
		}
		current = renewed
		certificates, keys, err := renewed.encode()
		return map[string][]byte{certificatesKey: certificates, keysKey: keys}, err
	})
	if err != nil {
		return nil, fmt.Errorf("settling the CA of serving certificates: %w", err)
	}
	return current, nil
}
