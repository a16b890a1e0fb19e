package etcd

import (
	"fmt"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"go.uber.org/zap"
	"google.golang.org/grpc"
)

const (
	keepAlive        = 30 * time.Second
	keepAliveTimeout = 10 * time.Second
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

// NewClient returns a client of the etcd at e, which need not be there yet; the caller closes it. Requests wait for hold, which may be
// nil. The error is about the TLS files.
func NewClient(e Endpoints, hold *Hold, more ...grpc.DialOption) (*kubernetes.Client, error) {
	interceptors := []grpc.DialOption{grpc.WithChainUnaryInterceptor(requireLeader)}
	if hold != nil {
		interceptors = append(interceptors, grpc.WithChainUnaryInterceptor(hold.intercept), grpc.WithChainStreamInterceptor(hold.interceptStream))
	}
	config := clientv3.Config{
		Endpoints:            e.URLs,
		DialKeepAliveTime:    keepAlive,
		DialKeepAliveTimeout: keepAliveTimeout,
		MaxCallRecvMsgSize:   maxReceiveBytes,
		DialOptions:          append(interceptors, more...),
		Logger:               zap.NewNop(),
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
	return client, nil
}
