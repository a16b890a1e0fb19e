package door

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"k8s.io/client-go/rest"
)

// Detect returns the route that the server of config offers. It asks the server only if the URL does not tell.
func Detect(ctx context.Context, config *rest.Config) (Door, error) {
	d, found, err := Parse(config.Host)
	if err != nil || (found && d.Host) {
		return d, err
	}
	if u, err := url.Parse(d.Base); found && err == nil && u.Path == "" {
		return d, nil
	}
	ask, err := NewAsker(config, d.Base)
	if err != nil {
		return Door{}, err
	}
	own, err := ask.isOwnDoor(ctx, d.Base)
	if err != nil || own {
		return d, err
	}
	// Other proxies also have URLs that end with /clusters/<name>, and such a proxy may lead to a host.
	plain := Door{Base: strings.TrimRight(config.Host, "/"), Host: true}
	if ask, err = NewAsker(config, plain.Base); err != nil {
		return Door{}, err
	}
	return plain, ask.isHost(ctx)
}

// isOwnDoor reports whether Annex itself answers at base. The health check of a workspace needs no credentials there.
func (a *Asker) isOwnDoor(ctx context.Context, base string) (bool, error) {
	err := a.Get(ctx, base+"/clusters/root/livez", nil)
	if Code(err) == 0 {
		return false, fmt.Errorf("reaching %s: %w", base, err)
	}
	return err == nil, nil
}

// isHost returns an error unless the server forwards API groups of Annex.
func (a *Asker) isHost(ctx context.Context) error {
	err := a.Get(ctx, a.base+"/apis/tenancy.kcp.io/v1alpha1", nil)
	switch Code(err) {
	case http.StatusOK:
		return nil
	case http.StatusNotFound:
		return fmt.Errorf("%s serves no workspaces: Annex is not installed in that cluster; set --server for Annex's own endpoint", a.base)
	case http.StatusUnauthorized:
		return fmt.Errorf("%s does not accept the credentials of the kubeconfig", a.base)
	}
	return fmt.Errorf("asking %s whether it serves workspaces: %w", a.base, err)
}
