/*
 * A machine that shows something and tells what reached it: a boot sector
 * for QEMU's pc machine, in real mode on the BIOS.
 *
 * Screen: 80x25 text (720x400 pixels), a pattern of letters on eight colours.
 * Keys (int 16h) are put on the screen and sent to COM1 as "k <hex>";
 * presses of the left button, read from the VMware mouse port that QEMU's
 * i8042 offers (absolute positions without a USB driver), as
 * "c <x hex> <y hex>", 0 to ffff each, with a mark on the screen.
 * "ready" is sent when all of it listens.
 *
 * The mouse port: QEMU hw/i386/vmmouse.c and vmport.c. eax: magic, ecx:
 * command, ebx: argument, dx: port.
 */
	.code16
	.globl _start

	.set COLUMNS, 80
	.set CELLS, 80 * 25
	.set MAGIC, 0x564D5868
	.set PORT, 0x5658
	.set POINTER_DATA, 39
	.set POINTER_STATUS, 40
	.set POINTER_COMMAND, 41
	.set ENABLE, 0x45414552
	.set ABSOLUTE, 0x53424152
	.set LEFT, 0x20

_start:
	ljmp	$0, $1f
1:	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %ss
	movw	$_start, %sp
	sti
	cld
	movw	$0x0003, %ax		# 80x25 text
	int	$0x10
	movb	$0x01, %ah		# no blinking cursor
	movw	$0x2000, %cx
	int	$0x10
	movw	$0xb800, %ax
	movw	%ax, %es

	xorw	%di, %di		# the pattern
	xorw	%cx, %cx
1:	movw	%cx, %ax
	xorw	%dx, %dx
	movw	$3 * COLUMNS, %bx
	divw	%bx
	andb	$7, %al
	shlb	$4, %al
	orb	$0x0f, %al
	movb	%al, %ah
	movb	%cl, %al
	andb	$0x3f, %al
	addb	$0x20, %al
	stosw
	incw	%cx
	cmpw	$CELLS, %cx
	jb	1b

	movw	$0x00e3, %ax		# COM1: 9600 8n1
	xorw	%dx, %dx
	int	$0x14
	movl	$ENABLE, %ebx
	movl	$POINTER_COMMAND, %ecx
	call	backdoor
	movl	$1, %ebx		# the version that it answers with
	movl	$POINTER_DATA, %ecx
	call	backdoor
	movl	$ABSOLUTE, %ebx
	movl	$POINTER_COMMAND, %ecx
	call	backdoor
	movw	$ready, %si
1:	lodsb
	testb	%al, %al
	jz	next
	call	send
	jmp	1b

next:	movb	$0x01, %ah		# a key?
	int	$0x16
	jz	pointer
	movb	$0x00, %ah
	int	$0x16
	testb	%al, %al		# shift and the like have no letter
	jz	next
	pushw	%ax
	movw	place, %di
	movb	$0x70, %ah
	stosw
	movw	%di, place
	movb	$'k', %al
	call	send
	movb	$' ', %al
	call	send
	popw	%ax
	call	hex8
	call	newline
	jmp	next

pointer: movl	$POINTER_STATUS, %ecx
	call	backdoor
	cmpw	$4, %ax
	jae	1f
	hlt				# until the timer or a key
	jmp	next
1:	movl	$4, %ebx
	movl	$POINTER_DATA, %ecx
	call	backdoor
	andb	$LEFT, %al
	xchgb	%al, held
	cmpb	%al, held
	je	next
	cmpb	$0, held
	je	next
	pushw	%cx
	pushw	%bx
	movb	$'c', %al
	call	send
	popw	%ax
	pushw	%ax
	call	hex16
	popw	%bx
	popw	%ax
	pushw	%bx
	pushw	%ax
	call	hex16
	call	newline
	popw	%ax			# y: row of the mark
	movw	$25, %bx
	mulw	%bx
	movw	%dx, %cx
	popw	%ax			# x: its column
	movw	$COLUMNS, %bx
	mulw	%bx
	imulw	$COLUMNS, %cx, %di
	addw	%dx, %di
	shlw	$1, %di
	movw	$0x4f58, %ax
	stosw
	jmp	next

backdoor:
	movl	$MAGIC, %eax
	movw	$PORT, %dx
	inl	%dx, %eax
	ret

/* " " and ax as four digits */
hex16:	pushw	%ax
	movb	$' ', %al
	call	send
	popw	%ax
	pushw	%ax
	movb	%ah, %al
	call	hex8
	popw	%ax
hex8:	pushw	%ax
	shrb	$4, %al
	call	digit
	popw	%ax
	andb	$0x0f, %al
digit:	addb	$'0', %al
	cmpb	$'9', %al
	jbe	send
	addb	$'a' - '9' - 1, %al
	jmp	send
newline: movb	$'\n', %al
send:	pushw	%dx
	movb	$0x01, %ah
	xorw	%dx, %dx
	int	$0x14
	popw	%dx
	ret

ready:	.asciz	"ready\n"
held:	.byte	0
place:	.word	2 * COLUMNS * 20	# keys appear in row 20
	.org	_start + 510
	.word	0xaa55
