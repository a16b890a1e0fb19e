package etcd

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

const (
	dialTimeout = 10 * time.Second
	keepAlive   = 30 * time.Second
	// maxRequestBytes is the largest object that is stored; etcd's default, which kube-apiserver has too.
	maxRequestBytes = 3 << 19
	// maxReceiveBytes bounds one answer of etcd; a page of a list of large objects is the largest.
	maxReceiveBytes = 1 << 30
)

// Endpoints says where an etcd is and how to trust it.
type Endpoints struct {
	URLs []string
	// CAFile, CertFile and KeyFile are PEM files; all empty for an etcd without TLS.
	CAFile, CertFile, KeyFile string
}

// NewClient returns a client that has reached the etcd at e; the caller closes it. The error says which endpoints were
// tried.
func NewClient(ctx context.Context, e Endpoints) (*kubernetes.Client, error) {
	config := clientv3.Config{
		Endpoints:            e.URLs,
		DialTimeout:          dialTimeout,
		DialKeepAliveTime:    keepAlive,
		DialKeepAliveTimeout: dialTimeout,
		MaxCallRecvMsgSize:   maxReceiveBytes,
		DialOptions: []grpc.DialOption{
			grpc.WithBlock(), //nolint:staticcheck // the client library dials with it, and a wrong address must fail at the start
			grpc.WithChainUnaryInterceptor(requireLeader),
		},
		Logger: zap.NewNop(),
	}
	if e.CAFile != "" || e.CertFile != "" || e.KeyFile != "" {
		tls, err := transport.TLSInfo{CertFile: e.CertFile, KeyFile: e.KeyFile, TrustedCAFile: e.CAFile}.ClientConfig()
		if err != nil {
			return nil, fmt.Errorf("reading the TLS files of etcd: %w", err)
		}
		config.TLS = tls
	}
	client, err := kubernetes.New(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to etcd at %v: %w", e.URLs, err)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if _, err := client.KV.Get(ctx, "/health", clientv3.WithCountOnly()); err != nil {
		_ = client.Close()
		return nil, fmt.Errorf("reading from etcd at %v: %w", e.URLs, err)
	}
	return client, nil
}
