package host

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"go.etcd.io/etcd/server/v3/embed"
)

// etcdServer is a single etcd member in this process.
type etcdServer struct {
	server *embed.Etcd
	url    string
}

// startEtcd starts a member that keeps its data in dir and logs to logFile. It
// waits until the member serves; dir may hold the data of an earlier member.
func startEtcd(ctx context.Context, dir, logFile string, noFsync bool) (*etcdServer, error) {
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	// Port 0: the listener picks a free port when it binds, which nobody can
	// take in between. A single member never dials its own peer URL.
	anyPort := url.URL{Scheme: "http", Host: "127.0.0.1:0"}

	cfg := embed.NewConfig()
	cfg.Name = "host"
	cfg.Dir = dir
	cfg.ListenClientUrls = []url.URL{anyPort}
	cfg.AdvertiseClientUrls = []url.URL{anyPort}
	cfg.ListenPeerUrls = []url.URL{anyPort}
	cfg.AdvertisePeerUrls = []url.URL{anyPort}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	// Not to stderr: at each stop etcd reports its own closed listeners as
	// errors, which would bury what a test has to say.
	cfg.LogLevel = "warn"
	cfg.LogOutputs = []string{logFile}
	cfg.UnsafeNoFsync = noFsync

	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, fmt.Errorf("starting the embedded member: %w", err)
	}
	e := &etcdServer{server: server}
	select {
	case <-server.Server.ReadyNotify():
		e.url = "http://" + server.Clients[0].Addr().String()
		return e, nil
	case err := <-server.Err():
		return nil, errors.Join(fmt.Errorf("running the embedded member: %w", err), e.stop())
	case <-ctx.Done():
		return nil, errors.Join(fmt.Errorf("waiting for the embedded member: %w", ctx.Err()), e.stop())
	}
}

// stop ends the member and reports the fault that ended it earlier, if any.
func (e *etcdServer) stop() error {
	var err error
	select {
	case err = <-e.server.Err():
	default:
	}
	e.server.Close()
	if err != nil {
		return fmt.Errorf("etcd ended early: %w", err)
	}
	return nil
}
