package replicas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/annex-dev/annex/test/framework/host/process"
)

const members = 3

// memberCommand is the first argument with which the test program runs as a member of etcd.
const memberCommand = "etcd-member"

// member says how a member runs.
type member struct {
	Name, Dir, Listen, Advertise, Client, Cluster string
}

// serve runs a member until the process ends.
func (m member) serve() error {
	config := embed.NewConfig()
	config.Name, config.Dir, config.InitialCluster = m.Name, m.Dir, m.Cluster
	for _, field := range []struct {
		urls    *[]url.URL
		address string
	}{
		{&config.ListenPeerUrls, m.Listen}, {&config.AdvertisePeerUrls, m.Advertise},
		{&config.ListenClientUrls, m.Client}, {&config.AdvertiseClientUrls, m.Client},
	} {
		*field.urls = []url.URL{{Scheme: "http", Host: field.address}}
	}
	config.LogLevel = "warn"
	config.WatchProgressNotifyInterval = 5 * time.Second
	server, err := embed.StartEtcd(config)
	if err != nil {
		return fmt.Errorf("starting a member of etcd: %w", err)
	}
	return <-server.Err()
}

// etcdCluster is three members that can be killed and cut off.
type etcdCluster struct {
	network *network
	members [members]member
	running [members]*process.Process
}

func startEtcd(ctx context.Context, dir string) (*etcdCluster, error) {
	e := &etcdCluster{network: newNetwork()}
	var all []string
	for i := range members {
		m := &e.members[i]
		m.Name, m.Dir = fmt.Sprintf("m%d", i), filepath.Join(dir, fmt.Sprintf("etcd-%d", i))
		for _, address := range []*string{&m.Listen, &m.Client} {
			free, err := freeAddress(ctx)
			if err != nil {
				return nil, err
			}
			*address = free
		}
		way, err := e.network.listen(ctx, i, m.Listen)
		if err != nil {
			return nil, err
		}
		m.Advertise = way.listener.Addr().String()
		all = append(all, m.Name+"=http://"+m.Advertise)
	}
	for i := range members {
		e.members[i].Cluster = strings.Join(all, ",")
		if err := e.start(i); err != nil {
			return nil, err
		}
	}
	return e, e.learn(ctx)
}

// freeAddress returns an address of the loopback interface for a process that may be started again.
func freeAddress(ctx context.Context) (string, error) {
	port, err := process.FreePort(ctx)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}

// start runs member i, for the first time or again on its data.
func (e *etcdCluster) start(i int) error {
	config, err := json.Marshal(e.members[i])
	if err != nil {
		return err
	}
	e.running[i], err = process.Start(os.Args[0], []string{memberCommand, string(config)}, e.members[i].Dir+".log")
	return err
}

// learn waits until the members know each other, and tells the network their ids.
func (e *etcdCluster) learn(ctx context.Context) error {
	return e.ask(ctx, func(ctx context.Context, client *clientv3.Client) error {
		list, err := client.MemberList(ctx)
		if err != nil {
			return err
		}
		for _, m := range list.Members {
			for i := range members {
				if m.Name == e.members[i].Name {
					e.network.know(fmt.Sprintf("%x", m.ID), i)
				}
			}
		}
		return nil
	})
}

// lead makes member i the leader.
func (e *etcdCluster) lead(ctx context.Context, i int) error {
	return e.ask(ctx, func(ctx context.Context, client *clientv3.Client) error {
		wanted, err := client.Status(ctx, "http://"+e.members[i].Client)
		if err != nil {
			return err
		}
		for k := range members {
			if k == i {
				continue
			}
			status, err := client.Status(ctx, "http://"+e.members[k].Client)
			if err != nil || status.Leader != status.Header.MemberId {
				continue
			}
			// Only the leader itself gives up its place.
			at, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://" + e.members[k].Client}, Logger: zap.NewNop()})
			if err != nil {
				return err
			}
			defer func() { _ = at.Close() }()
			_, err = at.MoveLeader(ctx, wanted.Header.MemberId)
			return errors.Join(err, errors.New("the leader was just moved"))
		}
		if wanted.Leader != wanted.Header.MemberId {
			return errors.New("nobody leads")
		}
		return nil
	})
}

// ask calls question until it succeeds, for as long as patience lasts.
func (e *etcdCluster) ask(ctx context.Context, question func(context.Context, *clientv3.Client) error) error {
	client, err := clientv3.New(clientv3.Config{Endpoints: e.urls(), Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := question(ctx, client)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("asking etcd: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (e *etcdCluster) urls() []string {
	urls := make([]string, members)
	for i, m := range e.members {
		urls[i] = "http://" + m.Client
	}
	return urls
}

// kill ends member i as a crash would.
func (e *etcdCluster) kill(i int) {
	_ = syscall.Kill(e.running[i].Pid(), syscall.SIGKILL)
	<-e.running[i].Done()
}

// pause has member i stand still, with its connections open, until resume.
func (e *etcdCluster) pause(i int) error { return syscall.Kill(e.running[i].Pid(), syscall.SIGSTOP) }

func (e *etcdCluster) resume(i int) error { return syscall.Kill(e.running[i].Pid(), syscall.SIGCONT) }
