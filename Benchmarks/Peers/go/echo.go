// An echo server with a goroutine for each connection.
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
)

// Serves until SIGTERM.
func echo(host, port string) {
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		fail(err.Error())
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go echoOn(connection)
		}
	}()
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	<-end
}

func echoOn(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, 65536)
	for {
		count, err := connection.Read(buffer)
		if count > 0 {
			if _, err := connection.Write(buffer[:count]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
