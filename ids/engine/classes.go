package engine

// classifications are the classes that the usual rule sets use, with their
// priorities. Their descriptions are Clover's.
const classifications = `config classification: not-suspicious,No sign of an attack,3
config classification: unknown,Of unknown meaning,3
config classification: bad-unknown,Bad in a way that is not known,2
config classification: attempted-recon,Attempt to learn of a system,2
config classification: successful-recon-limited,Something of a system was learned,2
config classification: successful-recon-largescale,Much of a system was learned,2
config classification: attempted-dos,Attempt to deny service,2
config classification: successful-dos,Service was denied,2
config classification: attempted-user,Attempt to become a user,1
config classification: unsuccessful-user,Did not become a user,1
config classification: successful-user,Became a user,1
config classification: attempted-admin,Attempt to become administrator,1
config classification: successful-admin,Became administrator,1
config classification: rpc-portmap-decode,Request to an RPC port mapper,2
config classification: shellcode-detect,Machine code in data,1
config classification: string-detect,A suspicious text,3
config classification: suspicious-filename-detect,A suspicious file name,2
config classification: suspicious-login,Login with a suspicious name,2
config classification: system-call-detect,A system call in data,2
config classification: tcp-connection,A TCP connection,4
config classification: trojan-activity,A trojan in the network,1
config classification: unusual-client-port-connection,A client with an unusual port,2
config classification: network-scan,Scan of a network,3
config classification: denial-of-service,A denial of service,2
config classification: non-standard-protocol,Not a standard protocol,2
config classification: protocol-command-decode,A command of a protocol,3
config classification: web-application-activity,Access to a web application that may be weak,2
config classification: web-application-attack,Attack on a web application,1
config classification: misc-activity,Other activity,3
config classification: misc-attack,Other attack,2
config classification: icmp-event,ICMP,3
config classification: inappropriate-content,Inappropriate content,1
config classification: policy-violation,Against the policy,1
config classification: default-login-attempt,Login with a default password,2
config classification: sdf,Sensitive data,2
config classification: file-format,A known malicious file,1
config classification: malware-cnc,Known command and control of malware,1
config classification: client-side-exploit,Exploit of a client,1
config classification: targeted-activity,An attack on a target,1
config classification: exploit-kit,An exploit kit,1
config classification: external-ip-check,A device asks for its outer address,2
config classification: domain-c2,Domain of command and control,1
config classification: pup-activity,A program that may be unwanted,2
config classification: credential-theft,Theft of credentials,1
config classification: social-engineering,Social engineering,2
config classification: coin-mining,Mining of a currency,2
config classification: command-and-control,Command and control,1
`
